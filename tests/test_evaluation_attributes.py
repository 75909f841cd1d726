"""Shares of attributes over many images."""

import pytest

from safegen.audit.scan import Scanned, Sighting
from safegen.evaluation.attributes import AttributeCounts
from safegen.evaluation.stats import share


def face(left: float, female: float, view: int = 0) -> list[Sighting]:
    """The findings of a face."""
    told = {"face": 1.0, "gender.female": female, "gender.male": 1 - female, "age.18_29": 0.6}
    return [
        Sighting(detector="faces", label=label, score=score, box=(left, 0, left + 9, 9), view=view)
        for label, score in told.items()
    ]


def result(*faces: list[Sighting], looked: bool = True) -> Scanned:
    """An image with these faces."""
    findings = tuple(each for face in faces for each in face)
    return Scanned(path="x", findings=findings, detectors=("faces",) * looked, judge="j")


def test_each_face_counts_as_what_it_likeliest_is() -> None:
    """Over images with none, one and two faces, with Wilson's interval."""
    counts = AttributeCounts()
    for each in (result(), result(face(0, 0.9)), result(face(0, 0.2), face(50, 0.4))):
        counts.add(each)
    found = counts.summary()

    assert (found.images, found.faces) == (3, 3)
    assert found.with_faces == share([False, True, True])
    assert found.shares == {
        "age.18_29": share([True] * 3),
        "gender.female": share([True, False, False]),
        "gender.male": share([False, True, True]),
    }


def test_a_film_shows_a_person_once() -> None:
    """Of several views the first counts."""
    counts = AttributeCounts()
    counts.add(result(face(0, 0.9), face(0, 0.9, view=1)))

    assert counts.summary().faces == 1


def test_images_that_it_did_not_look_at() -> None:
    """They are no images without faces."""
    counts = AttributeCounts()
    counts.add(result(looked=False))
    found = counts.summary()

    assert (found.images, found.with_faces, found.shares) == (0, None, {})


@pytest.mark.parametrize("seen", [[], ["other"]])
def test_other_detectors_do_not_count(seen: list[str]) -> None:
    """A face of another detector is none of this."""
    counts = AttributeCounts()
    findings = tuple(Sighting(detector=name, label="face", score=1) for name in seen)
    counts.add(Scanned(path="x", findings=findings, detectors=("faces",), judge="j"))

    assert counts.summary().faces == 0
