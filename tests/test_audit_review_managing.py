"""Accounts on the page: each change is an event, and nobody shuts out themselves."""

import re
from http import HTTPStatus

import pytest
from reviewing import WORDS, Browser, Made, events, signed_in

from safegen.audit.review.accounts import Accounts, Role, Session
from safegen.audit.review.site import Site


def test_admins_manage_accounts(ada: Browser, made: Made, site: Site) -> None:
    """They add, change and disable; each is an event, and counts at once."""
    bob = Browser(site)
    bob.sign_in("bob")
    ada.post("/accounts", name="eve", role="auditor", password=WORDS)
    ada.post("/accounts/bob/role", role="auditor")
    became = bob.get("/activity").status_code
    ada.post("/accounts/bob/disable")
    out, refused = bob.get("/").status_code, bob.sign_in("bob").status_code
    ada.post("/accounts/bob/enable")

    assert (became, out, refused, bob.sign_in("bob").status_code) == (200, 303, 403, 303)
    assert re.findall(r"/accounts/(\w+)/role", ada.get("/accounts").text) == [
        "ann", "ben", "bob", "eve"
    ]  # fmt: skip
    assert [what for what, who, _ in events(made) if who == "ada"] == [
        "signed_in", "account_added", "role_changed", "account_disabled", "account_enabled"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/accounts", {"name": "eve", "role": "king", "password": WORDS}),
        ("/accounts", {"name": "eve", "role": "admin", "password": "short"}),
        ("/accounts", {"name": "ann", "role": "admin", "password": WORDS}),
        ("/accounts/nobody/disable", {}),
        ("/accounts/ada/disable", {}),
        ("/accounts/ada/role", {"role": "reviewer"}),
    ],
)
def test_mistakes_with_accounts_leave_no_trace(
    ada: Browser, made: Made, path: str, fields: dict[str, str]
) -> None:
    """No such role, name or password, and nobody shuts out themselves: nothing is recorded."""
    assert ada.post(path, **fields).status_code == 400
    assert [what for what, _, _ in events(made)] == ["signed_in"]


@pytest.mark.parametrize(("act", "status"), [("role", 403), ("disable", 401)])
def test_two_admins_cannot_shut_out_each_other(
    ada: Browser, made: Made, site: Site, monkeypatch: pytest.MonkeyPatch, act: str, status: int
) -> None:
    """Of two who do it at once the second is no admin any more; one stays."""
    with Accounts.open(made.folder) as accounts:
        accounts.add("eve", Role.ADMIN, WORDS)
    eve = signed_in(site, "eve")
    codes: list[int] = []
    looked_up = Accounts.session

    def slow(accounts: Accounts, token: str) -> Session | None:
        """Between Ada's being let in and her act, Eve acts."""
        found = looked_up(accounts, token)
        monkeypatch.setattr(Accounts, "session", looked_up)
        codes.append(eve.post(f"/accounts/ada/{act}", role="auditor").status_code)
        return found

    ada.get("/accounts")
    monkeypatch.setattr(Accounts, "session", slow)
    codes.append(ada.post(f"/accounts/eve/{act}", role="auditor").status_code)

    assert codes == [HTTPStatus.SEE_OTHER, status]
    with Accounts.open(made.folder) as accounts:
        assert [
            each.name for each in accounts.list() if each.role.manages and not each.disabled
        ] == ["eve"]


def test_a_name_that_acted_is_for_nobody_else(ada: Browser, ann: Browser, made: Made) -> None:
    """The new one would be told to have done it; a name that never acted is free."""
    with Accounts.open(made.folder) as accounts:
        accounts.remove("ann")
        accounts.remove("bob")
    late = ada.post("/accounts", name="ann", role="reviewer", password=WORDS)

    assert late.status_code == 400
    assert "what another account called" in late.text
    assert ada.post("/accounts", name="bob", role="auditor", password=WORDS).status_code == 303
    assert ann.get("/").status_code == 303
