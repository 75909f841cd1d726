"""Verdicts and held images: by whom, one at a time, and never without a line of the ledger."""

import html
import io
import re
import time
from pathlib import Path

import pytest
from ledgers import image, record
from PIL import Image, ImageChops
from reviewing import Browser, Made, events, opened, picture, signed_in, with_accounts

from safegen.audit.index import Index
from safegen.audit.ledger import entries
from safegen.audit.review.accounts import Accounts, Role
from safegen.audit.review.site import Site
from safegen.audit.row import Row
from safegen.nouns import Event, Outcome, Record


def sharpest(image: Image.Image) -> int:
    """The largest step from a pixel to the one beside it, in grey levels."""
    grey = image.convert("L")
    return max(
        ImageChops.difference(grey, ImageChops.offset(grey, 1, 0))
        .crop((1, 0, *grey.size))
        .get_flattened_data()
    )


def seen(page: str) -> str:
    """What the form on a record's page says that the page showed."""
    [value] = re.findall(r'name="seen" value="(-?\d*)"', page)
    return str(value)


def judged(browser: Browser, path: str, verdict: str, reason: str, image: str = "") -> str:
    """Give a verdict by the form on a record's page; where that leads."""
    fields = {"verdict": verdict, "reason": reason, "image": image}
    answer = browser.post(f"{path}/verdict", seen=seen(browser.get(path).text), **fields)
    return str(answer.headers["location"])


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


def test_an_image_that_nothing_stopped_is_not_judged(ann: Browser, made: Made) -> None:
    """The form offers the request and its flagged image; a verdict about another is refused."""
    page = ann.get("/records/1").text
    sent = ann.post("/records/1/verdict", verdict="upheld", reason="x", image="1")

    assert re.findall(r'<option value="(\d*)"', page) == ["", "0"]
    assert sent.status_code == 400
    assert [what for what, _, _ in events(made)] == ["signed_in"]


def test_a_record_waits_until_each_of_its_images_was_judged(tmp_path: Path) -> None:
    """One stays on it, the page says what is left, and a stranger still finds it in the queue."""
    flagged = [image(Outcome.BLOCKED, unsafe=0.9), image(Outcome.BLOCKED, unsafe=0.7)]
    made = with_accounts(
        tmp_path, (record(0), record(1, images=flagged), record(2, Outcome.REVIEW))
    )
    with opened(made) as site:
        ann, bob = signed_in(site, "ann"), signed_in(site, "bob")
        page = ann.get("/records/1").text
        stays = judged(ann, "/records/1", "overturned", "a toy", image="1")
        after = ann.get(stays).text
        queue = bob.get("/").text
        goes = judged(ann, "/records/1", "upheld", "a real one", image="0")
        left = ann.get("/records/1").text

    assert "stays in the queue until" in page
    assert stays == "/records/1?done=1"
    assert "is still open: image 0 waits" in after
    assert re.findall(r"<h2>Image (\d).*?class=\"state (\w+)", after) == [
        ("0", "open"), ("1", "overturned")
    ]  # fmt: skip
    assert "ann is on it" in queue
    assert goes == "/records/2?done=1"
    assert 'class="state upheld"' in left


def test_a_page_that_is_older_than_a_verdict_judges_nothing(ann: Browser, site: Site) -> None:
    """Who comes after reads who decided what meanwhile, and nothing is overwritten unseen."""
    bob = signed_in(site, "bob")
    old = seen(ann.get("/records/1").text)
    with Accounts.open(site.ledger) as accounts:
        accounts.database.execute("UPDATE leases SET until = 0")
    judged(bob, "/records/1", "upheld", "a real weapon")
    late = ann.post("/records/1/verdict", verdict="overturned", reason="fine", seen=old)
    blind = ann.post("/records/1/verdict", verdict="overturned", reason="fine")
    page = ann.get("/records/1").text

    assert (late.status_code, blind.status_code) == (409, 409)
    assert "bob upheld it: a real weapon" in html.unescape(late.text)
    assert 'class="state upheld"' in page
    assert judged(ann, "/records/1", "overturned", "a toy after all")
    assert 'class="state overturned"' in ann.get("/records/1").text


def test_who_looks_at_an_image_holds_the_record_for_longer(ann: Browser, site: Site) -> None:
    """Showing one sharp begins the ten minutes anew."""
    ann.get("/records/1")
    with Accounts.open(site.ledger) as accounts:
        accounts.database.execute("UPDATE leases SET until = until - 500")
        ann.post("/records/1/images/0/reveal")
        [(until,)] = accounts.database.execute("SELECT until FROM leases").fetchall()

    assert until > time.time() + 590


def test_who_is_demoted_meanwhile_does_not_act(
    ann: Browser, made: Made, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an account may is looked at anew when its act is written."""

    def demoting(index: Index, seq: int) -> tuple[Row, Record]:
        with Accounts.open(site.ledger) as accounts:
            accounts.set_role("ann", Role.AUDITOR)
        return found(index, seq)

    found = Index.record
    monkeypatch.setattr(Index, "record", demoting)
    codes: dict[str, int] = {}
    for path in ("/records/1/verdict", "/records/1/images/0/reveal"):
        with Accounts.open(site.ledger) as accounts:
            accounts.set_role("ann", Role.REVIEWER)
        codes[path] = ann.post(path, verdict="upheld", reason="x").status_code

    assert set(codes.values()) == {403}
    assert [what for what, _, _ in events(made)] == ["signed_in"]


def test_a_damaged_image_is_held_no_longer(ann: Browser, made: Made) -> None:
    """A file that is not the picture any more is not offered."""
    [file] = made.images.glob("*.png")
    before = ann.get("/records/1").text
    file.write_bytes(file.read_bytes()[:60])
    page = ann.get("/records/1").text

    assert "Show it sharp" in before
    assert "No longer held." in page
    assert "Show it sharp" not in page


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


def test_two_reviewers_get_two_records(ann: Browser, site: Site) -> None:
    """What one looks at, another neither gets next nor judges."""
    bob = Browser(site)
    bob.sign_in("bob")

    assert ann.post("/next").headers["location"] == "/records/1"
    ann.get("/records/1")
    assert bob.post("/next").headers["location"] == "/records/2"
    assert "ann is looking at this record" in bob.get("/records/1").text
    assert bob.post("/records/1/verdict", verdict="upheld", reason="x").status_code == 409


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
