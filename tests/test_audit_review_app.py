"""The review site by its requests: who may what, and that nothing gets round it."""

import re
from html.parser import HTMLParser

import pytest
from reviewing import EVIL, WORDS, Browser, Made, events

from safegen.audit.review.site import HEADERS, Site

LONG = "9" * 5000
"""A number of more digits than Python reads."""


def inline(text: str) -> list[tuple[str, str]]:
    """What a browser would run or draw by: scripts and styles in the page itself."""
    found: list[tuple[str, str]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            names = [name for name, _ in attrs]
            if tag == "style" or (tag == "script" and "src" not in names):
                found.append((tag, ""))
            found.extend((tag, each) for each in names if each == "style" or each[:2] == "on")

    Reader().feed(text)
    return found


PAGES = [
    "/",
    "/timeline",
    "/records/1",
    "/trends",
    "/activity",
    "/accounts",
    "/records/1/images/0/blurred.png",
]


@pytest.mark.parametrize("path", PAGES)
def test_nothing_without_signing_in(site: Site, path: str) -> None:
    """Every page sends to the sign-in, which leads back to it."""
    answer = Browser(site).get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?then=%2F")


@pytest.mark.parametrize("path", [*PAGES[:-1], "/sign-in", "/static/review.js", "/nowhere"])
def test_every_answer_has_the_headers(ann: Browser, path: str) -> None:
    """Pages, files and errors come with the strict policy; none has inline scripts or styles."""
    page = ann.get(path)

    assert {name: page.headers.get(name) for name in HEADERS} == HEADERS
    if "html" in page.headers["content-type"]:
        assert inline(page.text) == []
        assert page.headers["cache-control"] == "no-store"


def test_another_site_cannot_send_forms(ann: Browser, made: Made) -> None:
    """A request that a browser marks as coming from elsewhere is refused, even to sign in."""
    fields = {"csrf": ann.csrf, "verdict": "upheld", "reason": "x"}
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
    ):
        for path in ("/records/1/verdict", "/sign-in", "/sign-out"):
            assert ann.client.post(path, data=fields, headers=headers).status_code == 403
    assert ann.client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert len(list(events(made))) == 1


def test_roles_are_kept_apart(ann: Browser, ben: Browser, made: Made) -> None:
    """Auditors judge nothing and see no image; reviewers read no events and export no records."""
    assert ben.post("/records/1/verdict", verdict="upheld", reason="x").status_code == 403
    assert ben.post("/records/1/images/0/reveal").status_code == 403
    assert ben.get("/records/1/images/0/blurred.png").status_code == 403
    assert ben.post("/next").status_code == 403
    assert "Held for reviewers" in ben.get("/records/1").text
    for browser, path in ((ann, "/activity"), (ann, "/accounts"), (ben, "/accounts")):
        assert browser.get(path).status_code == 403
    assert ben.post("/accounts", name="eve", role="admin", password=WORDS).status_code == 403
    assert ann.post("/timeline.csv").status_code == 403
    assert [what for what, _, _ in events(made)] == ["signed_in", "signed_in"]


@pytest.mark.parametrize(
    "path",
    ["/records/1/images/1/blurred.png", "/records/1/images/9/blurred.png", "/records/999",
     "/records/3/images/0/blurred.png", "/records/6", f"/records/{10**30}", "/records/-1",
     f"/records/{LONG}", f"/records/{LONG}/images/0/blurred.png", f"/records/{10**18 - 1}",
     f"/records/1/images/{LONG}/blurred.png", "/static/%00",
     "/records/1/images/0/other.png", "/static/../app.py", "/static/%2e%2e/app.py"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(ann: Browser, path: str) -> None:
    """No path of a crafted record or address leads to a file, and no number is too long."""
    assert ann.get(path).status_code == 404


def test_text_of_requests_is_only_text(ann: Browser, ben: Browser) -> None:
    """A request's text is escaped wherever it is shown; marks that turn it are spelt out."""
    ann.post("/records/2/verdict", verdict="escalated", reason=EVIL)
    paths = ("/", "/timeline", "/records/3", "/records/2", "/trends?since=2000-01-01")
    pages = [ann.get(path) for path in paths]
    pages += [ann.get("/timeline?rule=" + "%3Cscript%3E&tenant=%22%3E%3Cscript%3E")]
    pages += [ben.get("/activity")]
    for page in pages:
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "\u202e" not in page.text
    assert "&lt;script&gt;alert(1)" in pages[2].text
    assert "{{7*7}}" in pages[2].text


def test_filters_narrow_the_list(ann: Browser) -> None:
    """The filters of the command line work here; a misspelt one is told."""
    blocked = ann.get("/timeline?outcome=blocked&score=violence>=0.1+nsfw/unsafe>=0.5").text
    spaced = ann.get("/timeline?outcome=blocked&score=violence+>=+0.1++nsfw/unsafe+>=0.5").text
    wrong = ann.get("/timeline?rule=block.gor")

    assert re.findall(r'href="/records/(\d+)"', blocked) == ["1"]
    assert re.findall(r'href="/records/(\d+)"', spaced) == ["1"]
    assert wrong.status_code == 400
    assert "did you mean block.gore?" in wrong.text


def test_what_the_ledger_does_not_take_is_not_done(
    ann: Browser, ada: Browser, made: Made, site: Site
) -> None:
    """With a ledger that cannot be written, no image is shown, no verdict or account counts."""
    site.acts.close()
    (made.folder / "key.pem").rename(made.folder / "elsewhere.pem")
    for path in ("/records/1/images/0/reveal", "/records/1/verdict"):
        answer = ann.post(path, verdict="upheld", reason="x")
        assert answer.status_code == 503
        assert "the key that signed them" in answer.text
    added = ada.post("/accounts", name="eve", role="admin", password=WORDS)

    assert added.status_code == 503
    assert ann.get("/records/1/images/0/sharp.png").status_code == 403
    assert 'href="/records/1"' in ann.get("/").text
    assert "/accounts/eve/" not in ada.get("/accounts").text


def test_the_activity_tells_who_looked_at_what(ann: Browser, ben: Browser, site: Site) -> None:
    """Images looked at, sign-ins and refused ones, counted by account and one by one."""
    Browser(site).sign_in("bob", "wrong words here")
    ann.post("/records/1/images/0/reveal")
    seen = ben.get("/activity?what=image_viewed&actor=ann").text
    everything = ben.get("/activity").text

    [row] = re.findall(r"<tr><td class=\"number soft\">.*?</tr>", seen, re.DOTALL)
    for part in ("ann", "image viewed", 'href="/records/1"', "image 0"):
        assert part in row
    assert "sign in refused" in everything
    assert re.search(r'<td><a href="/activity\?actor=bob">bob</a></td>', everything)


@pytest.mark.parametrize(
    "path",
    ["/?done=x", "/activity?before=-1", "/?state=upheld", "/?after=x", f"/?after=1.{10**22}",
     f"/timeline?after={10**22}.1", f"/records/1?done={LONG}", f"/activity?before={LONG}",
     f"/timeline?since={LONG}", f"/timeline?since={LONG}d"],
)  # fmt: skip
def test_what_cannot_be_understood_is_told(ada: Browser, path: str) -> None:
    """A crafted address gives a page that says so."""
    answer = ada.get(path)

    assert answer.status_code == 400
    assert "<h1>Bad Request</h1>" in answer.text


URLENCODED = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (URLENCODED | {"content-length": "65537"}, 413),
        (URLENCODED | {"content-length": LONG}, 413),
        (URLENCODED | {"content-length": "many"}, 411),
        (URLENCODED | {"transfer-encoding": "chunked"}, 411),
        ({"content-type": "multipart/form-data; boundary=x", "content-length": "20"}, 415),
        ({"content-type": "application/json", "content-length": "20"}, 415),
        ({"content-length": "20"}, 415),
    ],
)
@pytest.mark.parametrize("path", ["/sign-in", "/records/1/verdict"])
def test_what_is_no_form_is_not_read(
    site: Site, path: str, headers: dict[str, str], status: int
) -> None:
    """Nobody is asked for a password before, so nobody can fill the disk without one."""
    answer = Browser(site).client.post(path, content=b"x", headers=headers)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
