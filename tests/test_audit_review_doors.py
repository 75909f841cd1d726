"""Signing in and out: guesses are slowed down, sessions end, and links lead nowhere else."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from reviewing import Browser, Made, events

from safegen.audit.review.accounts import Accounts, Checked
from safegen.audit.review.site import Site, local


def test_cookies_are_for_this_site_alone(site: Site, made: Made) -> None:
    """Scripts cannot read them; over https they are bound to it and to this host."""
    plain = Browser(site).sign_in("ann").headers["set-cookie"]
    safe_site = Site(made.folder, site.acts, None, secure=True)
    safe = Browser(safe_site).sign_in("ann")

    assert "HttpOnly" in plain
    assert "SameSite=lax" in plain
    assert safe.headers["set-cookie"].startswith("__Host-safegen=")
    assert "Secure" in safe.headers["set-cookie"]
    assert safe.headers["strict-transport-security"]


def test_guessing_is_slowed_down(site: Site, made: Made) -> None:
    """After five failures even the right password waits; the answer never says what was wrong."""
    browser = Browser(site)
    told = {browser.sign_in(name, "wrong words here").text.replace(name, "") for name in
            ("ann", "ann", "ann", "ann", "ann", "eve")}  # fmt: skip
    late = browser.sign_in("ann")

    assert len(told) == 1
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) > 0
    assert [(what, who) for what, who, _ in events(made)] == [
        *[("sign_in_refused", "ann")] * 5, ("sign_in_refused", "")
    ]  # fmt: skip


def test_guesses_at_once_are_slowed_down_too(site: Site) -> None:
    """Five are looked at, whether the others come after them or with them."""
    browsers = [Browser(site) for _ in range(12)]
    with ThreadPoolExecutor(len(browsers)) as pool:
        answers = pool.map(lambda each: each.sign_in("ann", "wrong words here"), browsers)
        codes = Counter(answer.status_code for answer in answers)

    assert codes == {403: 5, 429: 7}


def test_names_made_up_lock_nobody_out(site: Site) -> None:
    """A name that reads like an account's address, or like an address, is a name and no more."""
    stranger = Browser(site, "198.51.100.66")
    for name in ("ann from 127.0.0.1", "from 127.0.0.1", "127.0.0.1"):
        assert [stranger.sign_in(name, "wrong").status_code for _ in range(5)] == [403] * 5
    others = [Browser(site, f"198.51.100.{number}") for number in range(1, 4)]
    for other in others:
        assert {other.sign_in("from 127.0.0.1", "wrong").status_code for _ in range(5)} == {403}

    assert Browser(site).sign_in("ann").status_code == 303


def test_the_right_password_is_no_failure(site: Site) -> None:
    """However many sign in from one address, nobody waits."""
    browser = Browser(site)

    assert {browser.sign_in("ann").status_code for _ in range(22)} == {303}


def test_nobody_is_let_in_who_was_shut_out_meanwhile(
    site: Site, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing a password takes a while; what was changed by then counts, and is what is told."""
    looked_at = Accounts.check

    def slow(accounts: Accounts, name: str, password: str) -> Checked | None:
        checked = looked_at(accounts, name, password)
        accounts.set_disabled(name, True)
        return checked

    monkeypatch.setattr(Accounts, "check", slow)
    browser = Browser(site)

    assert browser.sign_in("ann").status_code == 403
    assert browser.get("/").status_code == 303
    assert [what for what, _, _ in events(made)] == ["sign_in_refused"]


def test_signing_out_ends_the_session(ann: Browser, made: Made) -> None:
    """The old cookie is worth nothing afterwards."""
    cookie = ann.client.cookies["safegen"]
    ann.post("/sign-out")
    ann.client.cookies.set("safegen", cookie)

    assert ann.get("/").status_code == 303
    assert [what for what, _, _ in events(made)] == ["signed_in", "signed_out"]


@pytest.mark.parametrize(
    ("then", "expected"),
    [("/records/1?a=b", "/records/1?a=b"), ("https://evil.example/", "/"), ("//evil.example", "/"),
     ("/\\evil.example", "/"), ("", "/"), ("/a\r\nX: y", "/")],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(then: str, expected: str) -> None:
    """A crafted link cannot send who signs in to another site."""
    assert local(then) == expected


def test_one_account_cannot_ask_without_end(ann: Browser, ben: Browser, site: Site) -> None:
    """After so many requests in a minute it waits, for images after more; others do not."""
    for _ in range(300):
        site.requests.take({"ann": 300})
    late = ann.get("/")
    picture = ann.get("/records/1/images/0/blurred.png").status_code
    for _ in range(3000):
        site.pictures.take({"ann": 3000})

    assert late.status_code == 429
    assert int(late.headers["retry-after"]) > 0
    assert ben.get("/").status_code == 200
    assert picture == 200
    assert ann.get("/records/1/images/0/blurred.png").status_code == 429
