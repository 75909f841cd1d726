"""What readers ask of a record: whether a person should look, which rules it fired, its scores."""

import pytest
from ledgers import FULL, image, record

from safegen.audit.aspects import needs_review, rules_of, scores_of, stopped_images
from safegen.nouns import Outcome, Record


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (record(0, images=[image(unsafe=0.49)]), False),
        (record(0, images=[image(unsafe=0.5)]), True),
        (record(0, images=[image(Outcome.BLOCKED)]), True),
        (record(0, Outcome.REVIEW), True),
        (record(0, Outcome.ERROR), False),
    ],
)
def test_a_person_looks_at_what_was_stopped_or_flagged(given: Record, expected: bool) -> None:
    """The request, one of its images, or a check that flagged one."""
    assert needs_review(given) is expected


def test_images_that_a_person_judges() -> None:
    """Those that were withheld, and those that checks flagged, with the checks that did."""
    images = [image(), image(Outcome.REVIEW), image(unsafe=0.5), image(Outcome.ERROR)]

    assert stopped_images(record(0, images=images)) == {1: (), 2: ("check:nsfw/unsafe",)}


def test_checks_stand_beside_the_rules() -> None:
    """A check that flags an image stops it, as a rule that blocks does; a rule that steers not."""
    assert rules_of(record(0, Outcome.BLOCKED)) == {"block.gore": True}
    assert rules_of(FULL) == {"occ-1": False, "check:nsfw/unsafe": True}


def test_the_highest_score_of_a_detector_counts() -> None:
    """Over all images, beside the scores of the prompt."""
    found = scores_of(record(0, images=[image(unsafe=0.2), image(unsafe=0.3)]))

    assert found == {"violence": 0.1, "nudity": 0.0, "nsfw/unsafe": 0.3}
