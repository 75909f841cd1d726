"""Accounts on the page: each change is an event, and nobody shuts out themselves."""

import re

import pytest
from reviewing import WORDS, Browser, Made, events

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
