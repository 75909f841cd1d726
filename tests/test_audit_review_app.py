"""The review site by its requests: who may what, and that nothing gets round it."""

import csv
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image, ImageChops
from reviewing import EVIL, WORDS, Made, make, picture

from safegen.audit.held import ImageStore
from safegen.audit.ledger import entries
from safegen.audit.review.acts import Acts
from safegen.audit.review.app import create_app
from safegen.audit.review.site import HEADERS, Site, local
from safegen.nouns import Event
from safegen.policy import Policy


class Browser:
    """Keeps cookies, and sends forms with the token of the page before."""

    def __init__(self, site: Site) -> None:
        app = create_app(site, ["testserver"])
        self.client = TestClient(app, follow_redirects=False, client=("127.0.0.1", 5000))
        self.csrf = ""

    def get(self, path: str) -> Response:
        """Load a page."""
        page = self.client.get(path)
        if token := re.search(r'name="csrf" value="([^"]+)"', page.text):
            self.csrf = token[1]
        return page

    def post(self, path: str, **fields: str) -> Response:
        """Send a form."""
        return self.client.post(path, data={"csrf": self.csrf} | fields)

    def sign_in(self, name: str, password: str = WORDS, then: str = "/") -> Response:
        """Sign in, and load the first page for its token."""
        answer = self.post("/sign-in", name=name, password=password, then=then)
        if answer.status_code == 303:
            self.get("/")
        return answer


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Made once, since hashing passwords takes its time."""
    return make(tmp_path_factory.mktemp("template"))


@pytest.fixture
def made(template: Made, tmp_path: Path) -> Made:
    """The ledger, images and accounts."""
    return template.copied(tmp_path)


@pytest.fixture
def site(made: Made) -> Iterator[Site]:
    """A site on them."""
    with Acts(made.folder) as acts:
        yield Site(made.folder, acts, ImageStore(made.images), secure=False)


@pytest.fixture
def ann(site: Site) -> Browser:
    """A reviewer, signed in."""
    browser = Browser(site)
    browser.sign_in("ann")
    return browser


@pytest.fixture
def ben(site: Site) -> Browser:
    """An auditor, signed in."""
    browser = Browser(site)
    browser.sign_in("ben")
    return browser


@pytest.fixture
def ada(site: Site) -> Browser:
    """An admin, signed in."""
    browser = Browser(site)
    browser.sign_in("ada")
    return browser


def events(made: Made) -> Iterator[tuple[str, str, str]]:
    """What was done, by whom, and why."""
    for _, entry in entries(made.folder, after=len(made.records) - 1):
        assert isinstance(entry, Event)
        yield entry.what, entry.actor, entry.reason


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


def sharpest(image: Image.Image) -> int:
    """The largest step from a pixel to the one beside it, in grey levels."""
    grey = image.convert("L")
    return max(
        ImageChops.difference(grey, ImageChops.offset(grey, 1, 0))
        .crop((1, 0, *grey.size))
        .get_flattened_data()
    )


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


def test_a_verdict_is_an_event(ann: Browser, made: Made) -> None:
    """It is in the ledger with its reason, the record stays, and the next one comes."""
    answer = ann.post("/records/1/verdict", verdict="overturned", reason=" a toy ", image="0")
    (_, last) = list(entries(made.folder))[-1]

    assert answer.headers["location"] == "/records/2?done=1"
    assert isinstance(last, Event)
    assert (last.what, last.actor, last.reason) == ("overturned", "ann", "a toy")
    assert (last.about, last.details) == (made.records[1].id, {"image": 0})
    assert "overturned" in ann.get("/records/1").text
    assert 'href="/records/1"' not in ann.get("/").text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"verdict": "upheld", "reason": " "}, 400),
        ({"verdict": "deleted", "reason": "x"}, 400),
        ({"verdict": "upheld", "reason": "x", "image": "7"}, 400),
        ({"verdict": "upheld", "reason": "x", "image": "../0"}, 400),
        ({"verdict": "upheld", "reason": "x", "csrf": "forged"}, 403),
        ({"verdict": "upheld", "reason": "x", "csrf": ""}, 403),
    ],
)
def test_bad_verdicts_leave_no_trace(
    ann: Browser, made: Made, fields: dict[str, str], status: int
) -> None:
    """Without a reason, for no image, or with a forged token nothing is recorded."""
    assert ann.post("/records/1/verdict", **fields).status_code == status
    assert [what for what, _, _ in events(made)] == ["signed_in"]


def test_another_site_cannot_send_forms(ann: Browser, made: Made) -> None:
    """A request that a browser marks as coming from elsewhere is refused, even to sign in."""
    fields = {"csrf": ann.csrf, "verdict": "upheld", "reason": "x"}
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
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


def test_images_are_blurred_until_asked_for(ann: Browser, made: Made, site: Site) -> None:
    """The sharp one comes after an act that is recorded, and to this session only."""
    soft = Image.open(io.BytesIO(ann.get("/records/1/images/0/blurred.png").content))
    early = ann.get("/records/1/images/0/sharp.png").status_code
    shown = ann.client.post(
        "/records/1/images/0/reveal", data={"csrf": ann.csrf}, headers={"hx-request": "true"}
    )
    sharp = Image.open(io.BytesIO(ann.get("/records/1/images/0/sharp.png").content))
    other = Browser(site)
    other.sign_in("bob")

    assert (soft.mode, early) == ("L", 403)
    assert sharpest(soft) < 20 < sharpest(picture())
    assert "sharp.png" in shown.text
    assert sharp.tobytes() == picture().tobytes()
    assert other.get("/records/1/images/0/sharp.png").status_code == 403
    assert ("image_viewed", "ann", "") in events(made)


@pytest.mark.parametrize(
    "path",
    ["/records/1/images/1/blurred.png", "/records/1/images/9/blurred.png", "/records/999",
     "/records/3/images/0/blurred.png", "/records/6", f"/records/{10**30}", "/records/-1",
     "/records/1/images/0/other.png", "/static/../app.py", "/static/%2e%2e/app.py"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(ann: Browser, path: str) -> None:
    """No path of a crafted record or address leads to a file."""
    assert ann.get(path).status_code == 404


def test_two_reviewers_get_two_records(ann: Browser, site: Site) -> None:
    """What one looks at, another neither gets next nor judges."""
    bob = Browser(site)
    bob.sign_in("bob")

    assert ann.post("/next").headers["location"] == "/records/1"
    ann.get("/records/1")
    assert bob.post("/next").headers["location"] == "/records/2"
    assert "ann is looking at this record" in bob.get("/records/1").text
    assert bob.post("/records/1/verdict", verdict="upheld", reason="x").status_code == 409


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
    wrong = ann.get("/timeline?rule=block.gor")

    assert re.findall(r'href="/records/(\d+)"', blocked) == ["1"]
    assert wrong.status_code == 400
    assert "did you mean block.gore?" in wrong.text


def test_exports_are_recorded(ben: Browser, made: Made) -> None:
    """CSV has no formulas; overturned records are tests of a policy; both leave an event."""
    table = ben.post("/timeline.csv?outcome=blocked").text
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    text = ben.post("/false-alarms.yaml", policy="default").text
    tests = Policy(text).file.tests

    assert [row["no"] for row in rows] == ["4", "3", "1"]
    assert all(not row["tenant"].startswith("=") for row in rows)
    assert [(each.context.tenant, each.expect) for each in tests] == [("acme", "allowed")]
    assert [what for what, _, _ in events(made)] == ["signed_in", "exported", "exported"]


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


def test_one_account_cannot_ask_without_end(ann: Browser, ben: Browser, site: Site) -> None:
    """After so many requests in a minute it waits; others do not."""
    for _ in range(300):
        site.requests.count("ann")
    late = ann.get("/")

    assert late.status_code == 429
    assert int(late.headers["retry-after"]) > 0
    assert ben.get("/").status_code == 200


def test_leaving_a_record_goes_on_behind_it(ann: Browser, site: Site) -> None:
    """The next one comes, not the same again; whoever else comes may have the one left."""
    bob = Browser(site)
    bob.sign_in("bob")
    ann.get("/records/1")
    busy = bob.get("/").text

    assert "ann is on it" in busy
    assert ann.post("/next", left="1").headers["location"] == "/records/2"
    assert bob.post("/next").headers["location"] == "/records/1"
    ann.get("/records/3")
    assert ann.post("/next", left="3").headers["location"] == "/records/2"


@pytest.mark.parametrize("path", ["/?done=x", "/activity?before=-1", "/?state=upheld", "/?after=x"])
def test_what_cannot_be_understood_is_told(ada: Browser, path: str) -> None:
    """A crafted address gives a page that says so."""
    answer = ada.get(path)

    assert answer.status_code == 400
    assert "<h1>Bad Request</h1>" in answer.text
