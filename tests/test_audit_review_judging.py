"""Verdicts and held images: by whom, one at a time, and never without a line of the ledger."""

import io

import pytest
from PIL import Image, ImageChops
from reviewing import Browser, Made, events, picture

from safegen.audit.ledger import entries
from safegen.audit.review.site import Site
from safegen.nouns import Event


def sharpest(image: Image.Image) -> int:
    """The largest step from a pixel to the one beside it, in grey levels."""
    grey = image.convert("L")
    return max(
        ImageChops.difference(grey, ImageChops.offset(grey, 1, 0))
        .crop((1, 0, *grey.size))
        .get_flattened_data()
    )


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
