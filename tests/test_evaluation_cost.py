"""Cost counts seconds of images, and none of requests that brought none."""

from collections.abc import Sequence

from painted import WORLD
from PIL import Image

from safegen.evaluation import cost
from safegen.evaluation.subjects import Answer, Ask
from safegen.nouns import Outcome


class Timed:
    """Answers each request in the next of these seconds; None refuses in no time at all."""

    name = digest = "timed"

    def __init__(self, *seconds: float | None) -> None:
        """Answer so many requests."""
        self._seconds = list(seconds)

    def __call__(self, asks: Sequence[Ask]) -> list[Answer]:
        """One answer each."""
        answers = []
        for ask in asks:
            seconds = self._seconds.pop(0)
            if seconds is None:
                answers.append(Answer(Outcome.BLOCKED, (None,) * ask.images, 0.0))
            else:
                images = (Image.new("RGB", (4, 4)),) * ask.images
                answers.append(Answer(Outcome.ALLOWED, images, seconds))
        return answers


def test_seconds_of_an_image_beside_the_bare_model() -> None:
    """The first round does not count; the ratio is that of the fastest."""
    found = cost.measure(WORLD, Timed(9, 4, 6), Timed(9, 2, 2), images=2, rounds=2)
    assert found.figures["seconds_per_image"].value == 2.5
    assert found.figures["bare_seconds_per_image"].value == 1
    assert found.notes["ratio"] == 2


def test_a_refusal_is_no_fast_image() -> None:
    """Rounds without images are left out, of the bare model's time too, and counted."""
    found = cost.measure(WORLD, Timed(None, None, 6), Timed(9, 2, 3), images=2, rounds=2)
    assert found.figures["seconds_per_image"].value == 3
    assert found.figures["bare_seconds_per_image"].value == 1.5
    assert found.notes["ratio"] == 2
    assert found.notes["rounds without images"] == 1


def test_who_refuses_always_is_not_measured() -> None:
    """There is no time of an image that never was."""
    found = cost.measure(WORLD, Timed(None, None), Timed(9, 2), images=2, rounds=1)
    assert found.figures == {}
    assert found.notes["rounds without images"] == 1
    assert "ratio" not in found.notes
