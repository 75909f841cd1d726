from collections.abc import Sequence

import pytest
from PIL import Image

from safegen.audit.detectors import Look
from safegen.climb import GuardedImage, Stop, climb
from safegen.nouns import AnyCheck, Check, Decision, Finding, Intervention, Outcome, Reaction

CHECKS: tuple[AnyCheck, ...] = (
    Check(detector="d", label="part", threshold=0.5),
    Check(detector="d", label="whole", threshold=0.5),
)
BOX = (20.0, 20.0, 40.0, 40.0)


def saw(label: str, error: str = "") -> Finding:
    """A finding; of `part` with a box."""
    return Finding(
        detector="d",
        detector_digest="sha256:0",
        label=label,
        score=1.0,
        box=BOX if label == "part" else None,
        error=error,
    )


def noise() -> Image.Image:
    """A picture in which a change shows."""
    return Image.effect_noise((64, 64), 80).convert("RGB")


def decided(*ladder: Reaction, early: float | None = None) -> Decision:
    """A decision to check images, and to react so."""
    return Decision(
        outcome=Outcome.STEERED,
        checks=CHECKS,
        ladder=ladder,
        early_look=early,
        policy="p",
        policy_digest="sha256:0",
    )


def climbed(
    *ladder: Reaction,
    first: Sequence[Finding],
    again: Sequence[Finding] = (),
    early: float | None = None,
) -> tuple[GuardedImage, Image.Image, list[GuardedImage]]:
    """What becomes of an image of which first the one and then the other is seen."""
    made = noise()
    decision = decided(*ladder, early=early)
    draft = GuardedImage(
        Outcome.STEERED, None, 7, interventions=(Intervention(concept="a", strength=1.0),)
    )
    tried: list[GuardedImage] = []

    def make(drafts: Sequence[GuardedImage], stop: Stop | None) -> Sequence[Image.Image | None]:
        assert (stop is None) == (early is None)
        images = [made if draft.attempts == 1 else noise() for draft in drafts]
        tried.extend(draft for draft in drafts if draft.attempts > 1)
        stopped = stop(images) if stop else [False]
        return [None if stop else image for stop, image in zip(stopped, images, strict=True)]

    def look(images: Sequence[Image.Image]) -> list[Look]:
        return [Look(tuple(again if tried else first), {"d": "sha256:0"}) for _ in images]

    [image] = climb([draft], decision, make, look)
    return image, made, tried


def test_what_is_not_flagged_is_left_alone() -> None:
    """The image, and what was seen."""
    image, made, tried = climbed(Reaction(action="block"), first=[saw("other")])

    assert (image.outcome, image.image, image.actions) == (Outcome.STEERED, made, ())
    assert image.findings == (saw("other"),)
    assert image.detectors == {"d": "sha256:0"}
    assert not tried


def test_a_new_attempt_that_passes() -> None:
    """From another seed, stronger, with what the reaction adds; its own findings count."""
    add = (Intervention(concept="b", strength=2.0),)
    image, _, [tried] = climbed(
        Reaction(action="regenerate", times=3, strength=2.0, add=add), first=[saw("part")]
    )

    assert image.outcome == Outcome.STEERED
    assert tried.seed != 7
    assert [(i.concept, i.strength) for i in tried.interventions] == [("a", 2.0), ("b", 2.0)]
    assert image.actions == ("regenerate x2 + b",)
    assert (image.attempts, image.findings) == (2, ())


@pytest.mark.parametrize(
    ("action", "outcome", "returned"),
    [
        ("blur", Outcome.ALTERED, True),
        ("replace", Outcome.ALTERED, True),
        ("review", Outcome.REVIEW, False),
        ("block", Outcome.BLOCKED, False),
    ],
)
def test_what_stays_flagged(action: str, outcome: Outcome, returned: bool) -> None:
    """After the attempts the last rung decides; what is returned is not what was made."""
    ladder = [Reaction(action="regenerate", times=2), Reaction.model_validate({"action": action})]
    image, _, tried = climbed(*ladder, first=[saw("whole")], again=[saw("whole")])

    assert image.outcome == outcome
    assert (image.image is not None) == returned
    assert len(tried) == 2
    assert image.actions == ("regenerate x1.5", "regenerate x1.5", action)
    assert image.reason == "flagged: whole"
    assert image.findings == (saw("whole"),)


def test_every_image_that_stays_flagged_is_reacted_to() -> None:
    """Not the first of them alone."""
    drafts = [GuardedImage(Outcome.ALLOWED, None, seed) for seed in range(3)]

    def make(drafts: Sequence[GuardedImage], _: Stop | None) -> Sequence[Image.Image]:
        return [noise() for _ in drafts]

    def look(images: Sequence[Image.Image]) -> list[Look]:
        return [Look((saw("whole"),)) for _ in images]

    images = climb(drafts, decided(Reaction(action="regenerate")), make, look)

    assert [(image.outcome, image.image) for image in images] == [(Outcome.BLOCKED, None)] * 3


@pytest.mark.parametrize(
    ("area", "found", "whole"),
    [
        ("boxes", [saw("part")], False),
        ("boxes", [saw("part"), saw("whole")], True),
        ("boxes", [saw("part"), saw("other")], False),
        ("image", [saw("part")], True),
    ],
)
def test_boxes_are_blurred_only_if_they_are_all(
    area: str, found: list[Finding], whole: bool
) -> None:
    """What was flagged and has no box may be anywhere."""
    image, made, _ = climbed(Reaction.model_validate({"action": "blur", "area": area}), first=found)

    assert image.image is not None
    kept = image.image.crop((48, 48, 64, 64)).tobytes() == made.crop((48, 48, 64, 64)).tobytes()
    assert kept != whole
    assert image.image.crop((22, 22, 38, 38)).tobytes() != made.crop((22, 22, 38, 38)).tobytes()


@pytest.mark.parametrize("later", [False, True], ids=["at once", "after an attempt"])
def test_a_look_that_fails_is_final(later: bool) -> None:
    """Nothing is tried any more, no image is returned, and the error is told."""
    failure = [saw("error", error="out of order"), saw("whole")]  # by another detector
    first = [saw("part")] if later else failure
    image, _, tried = climbed(
        Reaction(action="regenerate", times=5),
        Reaction(action="blur"),
        first=first,
        again=failure,
    )

    assert (image.outcome, image.image) == (Outcome.ERROR, None)
    assert image.reason == "d: out of order"
    assert len(tried) == later


def test_an_attempt_that_the_pipeline_withholds() -> None:
    """It is blocked, and what was seen in the attempt before is no finding of this one."""
    made = iter([noise(), None])

    def make(_: Sequence[GuardedImage], stop: Stop | None) -> Sequence[Image.Image | None]:
        return [next(made)]

    def look(images: Sequence[Image.Image]) -> list[Look]:
        return [Look((saw("whole"),), {"d": "sha256:0"}) for _ in images]

    draft = GuardedImage(Outcome.STEERED, None, 7)
    [image] = climb([draft], decided(Reaction(action="regenerate")), make, look)

    assert (image.outcome, image.image, image.attempts) == (Outcome.BLOCKED, None, 2)
    assert (image.findings, image.detectors) == ((), {})


def test_an_image_that_is_stopped_early_climbs_the_ladder() -> None:
    """What the preview showed is what it is flagged for; the next attempt is as any other."""
    regenerate = Reaction(action="regenerate")
    image, _, tried = climbed(regenerate, first=[saw("part")], early=0.5)

    assert image.outcome == Outcome.STEERED
    assert image.image is not None
    assert image.actions == ("stopped at 50%", "regenerate x1.5")
    assert len(tried) == 1


def test_there_is_nothing_to_blur_of_an_image_that_was_never_made() -> None:
    """It is blocked, with the findings of the preview."""
    image, _, _ = climbed(Reaction(action="blur"), first=[saw("part")], early=0.25)

    assert (image.outcome, image.image) == (Outcome.BLOCKED, None)
    assert image.actions == ("stopped at 25%", "blur")
    assert image.findings == (saw("part"),)


def test_a_preview_that_cannot_be_looked_at_is_an_error() -> None:
    """As for finished images."""
    image, _, tried = climbed(
        Reaction(action="regenerate"), first=[saw("error", error="out of order")], early=0.5
    )

    assert (image.outcome, image.image, tried) == (Outcome.ERROR, None, [])


def test_an_image_whose_preview_cannot_be_looked_at_is_not_made() -> None:
    """A look at the finished image would find nothing, and let it pass."""
    looks = [Look((saw("error", error="out of order"),)), Look()]

    def make(drafts: Sequence[GuardedImage], stop: Stop | None) -> Sequence[Image.Image | None]:
        assert stop is not None
        return [None if stopped else noise() for stopped in stop([noise()])]

    def look(images: Sequence[Image.Image]) -> list[Look]:
        return [looks.pop(0) for _ in images]

    draft = GuardedImage(Outcome.STEERED, None, 7)
    [image] = climb([draft], decided(early=0.5), make, look)

    assert (image.outcome, image.image) == (Outcome.ERROR, None)
    assert image.actions == ("stopped at 50%",)
