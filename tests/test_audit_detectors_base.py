from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from safegen.audit.detectors import inspect
from safegen.audit.detectors.base import checked_weights, detector_digest, read_card
from safegen.errors import DetectorError
from safegen.nouns import Finding

Answer = Callable[[Sequence[Image.Image]], Sequence[Sequence[Finding]]]
IMAGES = [Image.new("RGB", (8, 8), colour) for colour in ("black", "white")]


class Toy:
    """A detector that answers with what it is given."""

    def __init__(self, name: str, answer: Answer) -> None:
        self.name = name
        self.labels = ("bright",)
        self.digest = "sha256:0"
        self._answer = answer

    def __call__(self, images: Sequence[Image.Image]) -> Sequence[Sequence[Finding]]:
        """The answer."""
        return self._answer(images)


def finding(detector: str, score: float) -> Finding:
    """A finding signed by `detector`."""
    return Finding(detector=detector, detector_digest="sha256:0", label="bright", score=score)


def brightness(images: Sequence[Image.Image]) -> list[list[Finding]]:
    """A plain function as a detector: how bright the image is."""
    return [[finding("bright", float(np.asarray(image).mean()) / 255)] for image in images]


def test_findings_of_all_detectors_are_merged_per_image() -> None:
    """Every image carries the findings of every detector, in the order of the detectors."""
    silent = Toy("silent", lambda images: [[] for _ in images])
    other = Toy("other", lambda images: [[finding("other", 0.5)] for _ in images])

    found = inspect([Toy("bright", brightness), silent, other], IMAGES)

    assert found == [
        (finding("bright", 0.0), finding("other", 0.5)),
        (finding("bright", 1.0), finding("other", 0.5)),
    ]


def test_no_image_needs_no_detector() -> None:
    """Without images nothing is asked and nothing is found."""
    assert inspect([Toy("broken", lambda images: [])], []) == []


def test_a_detector_that_raises_is_an_error() -> None:
    """A failure is never an empty list of findings; the message names detector and cause."""

    def broken(images: Sequence[Image.Image]) -> Sequence[Sequence[Finding]]:
        raise RuntimeError("out of memory")

    with pytest.raises(DetectorError, match=r"'broken' failed on 2 image\(s\).*out of memory"):
        inspect([Toy("bright", brightness), Toy("broken", broken)], IMAGES)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_or_too_many_answers_are_an_error(count: int) -> None:
    """Findings that cannot be told apart by image are no findings."""
    with pytest.raises(DetectorError, match=f"got them for {count}"):
        inspect([Toy("short", lambda images: [[]] * count)], IMAGES)


@pytest.mark.parametrize("row", [[finding("somebody else", 1.0)], [0.93], None])
def test_answers_that_no_check_could_match_are_an_error(row: object) -> None:
    """A finding under another name, or something that is no finding, would pass every check."""
    with pytest.raises(DetectorError, match="'odd'"):
        inspect([Toy("odd", lambda images: [row for _ in images])], IMAGES)  # type: ignore[misc]


def test_a_label_that_the_detector_never_announced_is_an_error() -> None:
    """Checks can name none but the announced ones, so any other would pass every check."""
    told = finding("odd", 1.0).model_copy(update={"label": "brights"})
    with pytest.raises(DetectorError, match=r"labels out of bright from .*'odd', got 'brights'"):
        inspect([Toy("odd", lambda images: [[told] for _ in images])], IMAGES)


def test_a_detector_may_say_itself_that_it_could_not_tell() -> None:
    """A finding with an error has no label to announce; its error keeps the image from passing."""
    told = finding("odd", 1.0).model_copy(update={"label": "error", "error": "out of memory"})

    found = inspect([Toy("odd", lambda images: [[told] for _ in images])], IMAGES)

    assert found == [(told,), (told,)]


def test_a_score_that_is_no_number_is_an_error() -> None:
    """NaN would be below every threshold."""
    nan = Toy("nan", lambda images: [[finding("nan", float("nan"))] for _ in images])
    with pytest.raises(DetectorError, match="'nan' failed"):
        inspect([nan], IMAGES)


@pytest.mark.parametrize(
    "wrong",
    [{"score": float("nan")}, {"score": -1.0}, {"score": 7.0}, {"score": "0.9"}, {"box": (0,)}],
)
def test_a_finding_that_was_changed_past_its_checks_is_an_error(wrong: dict[str, object]) -> None:
    """`model_copy` checks nothing, and a score below 0 would be below every threshold."""
    made = finding("sly", 0.9).model_copy(update=wrong)
    with pytest.raises(DetectorError, match="'sly' gave a finding that is none"):
        inspect([Toy("sly", lambda images: [[made] for _ in images])], IMAGES)


def test_a_box_without_end_is_none() -> None:
    """It could not be blurred."""
    with pytest.raises(ValidationError, match="finite"):
        Finding(detector="a", detector_digest="", label="b", score=1, box=(0, 0, float("inf"), 1))


def test_a_detector_that_works_in_place_changes_nothing_for_others() -> None:
    """Neither what later ones see nor what the caller has."""
    seen = []

    def shrink(images: Sequence[Image.Image]) -> list[list[Finding]]:
        for image in images:
            image.thumbnail((2, 2))
        return [[] for _ in images]

    def look(images: Sequence[Image.Image]) -> list[list[Finding]]:
        seen.extend(image.size for image in images)
        return [[] for _ in images]

    inspect([Toy("shrink", shrink), Toy("look", look)], IMAGES)

    assert [*seen, *(image.size for image in IMAGES)] == [(8, 8)] * 4


def test_weights_must_be_those_of_the_card(tmp_path: Path) -> None:
    """Other weights under the same name are refused, and so are missing ones."""
    card = read_card("safegen.audit.detectors.nsfw")
    path = tmp_path / "open-nsfw.onnx"
    with pytest.raises(DetectorError, match="cannot read"):
        checked_weights(path, card)
    path.write_bytes(b"something else")
    with pytest.raises(DetectorError, match=f"expected weights with sha256 {card.sha256}"):
        checked_weights(path, card)


def test_weights_in_several_files(tmp_path: Path) -> None:
    """Each has a digest of its own on the card; a file that is not on it is refused."""
    card = read_card("safegen.audit.detectors.faces")
    assert isinstance(card.sha256, dict)
    for name in (*card.sha256, "another.onnx"):
        path = tmp_path / name
        path.write_bytes(b"something else")
        with pytest.raises(DetectorError, match=f"sha256 {card.sha256.get(name)}, found"):
            checked_weights(path, card)


def test_digest_depends_on_weights_and_settings() -> None:
    """The order of settings does not matter, everything else does."""
    digest = detector_digest("00", {"a": 1, "b": 2})

    assert digest == detector_digest("00", {"b": 2, "a": 1})
    assert digest != detector_digest("01", {"a": 1, "b": 2})
    assert digest != detector_digest("00", {"a": 1, "b": 3})


@pytest.mark.parametrize("name", ["clip", "faces", "nsfw", "nudenet"])
def test_every_detector_has_a_card(name: str) -> None:
    """Each shipped detector says where its weights come from, their licence and their limits."""
    card = read_card(f"safegen.audit.detectors.{name}")

    assert card.licence
    assert card.limits
