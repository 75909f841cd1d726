import io
import threading
from collections.abc import Sequence

import pytest
from PIL import Image

from safegen.audit.detectors import Look, Stage
from safegen.errors import InputError
from safegen.nouns import Finding
from safegen.policy.schema import Band, DetectorUse

GREYS = [Image.new("RGB", (4, 4), (level,) * 3) for level in (0, 51, 128, 204, 255)]


class Grey:
    """Scores how bright an image is; remembers what it was given, waits or fails if told to."""

    labels = ("bright",)
    digest = "sha256:grey"

    def __init__(self, name: str, error: str = "", gate: threading.Event | None = None) -> None:
        self.name = name
        self.error = error
        self.gate = gate
        self.given: list[list[int]] = []

    def __call__(self, images: Sequence[Image.Image]) -> list[list[Finding]]:
        """Brightness in [0, 1]; nothing of black images."""
        levels = [int(image.getextrema()[0][0]) for image in images]  # type: ignore[index]
        self.given.append(levels)
        if self.gate:
            self.gate.wait()
        if self.error:
            raise RuntimeError(self.error)
        return [[self._finding(level / 255)] if level else [] for level in levels]

    def _finding(self, score: float) -> Finding:
        return Finding(detector=self.name, detector_digest=self.digest, label="bright", score=score)


def waits(detector: str, low: float, high: float) -> DetectorUse:
    """A use only where another detector is undecided."""
    return DetectorUse(when=Band(detector=detector, label="bright", between=(low, high)))


def test_a_dear_detector_sees_what_the_cheap_one_leaves_open() -> None:
    """Only the images in the band, bounds included; others say that it did not look."""
    cheap, dear = Grey("cheap"), Grey("dear")
    stage = Stage([dear, cheap], {"dear": waits("cheap", 0.2, 0.8)})

    looks = stage.look(GREYS)

    assert cheap.given == [[0, 51, 128, 204, 255]]
    assert dear.given == [[51, 128, 204]]
    assert [sorted(look.detectors) for look in looks] == [
        ["cheap"],
        ["cheap", "dear"],
        ["cheap", "dear"],
        ["cheap", "dear"],
        ["cheap"],
    ]
    assert [f.detector for f in looks[2].findings] == ["cheap", "dear"]


def test_what_is_not_seen_scores_zero() -> None:
    """A band from 0 on holds the images of which the cheap detector says nothing."""
    dear = Grey("dear")
    Stage([Grey("cheap"), dear], {"dear": waits("cheap", 0.0, 0.1)}).look(GREYS)

    assert dear.given == [[0]]


def test_the_highest_score_of_a_label_counts() -> None:
    """Of a detector that sees a thing several times in one image."""

    class Twice(Grey):
        def __call__(self, images: Sequence[Image.Image]) -> list[list[Finding]]:
            return [[self._finding(0.1), self._finding(0.5)] for _ in images]

    dear = Grey("dear")
    Stage([Twice("cheap"), dear], {"dear": waits("cheap", 0.3, 0.8)}).look(GREYS)

    assert dear.given == [[0, 51, 128, 204, 255]]


def test_nobody_is_asked_about_no_image() -> None:
    """A detector with no image in its band is not called."""
    dear = Grey("dear")
    stage = Stage([Grey("cheap"), dear], {"dear": waits("cheap", 0.9, 0.95)})

    assert [look.error for look in stage.look(GREYS)] == [""] * 5
    assert stage.look([]) == []
    assert dear.given == []


def test_bands_follow_each_other() -> None:
    """A third detector waits for the second, which waits for the first."""
    third = Grey("third")
    uses = {"second": waits("first", 0.1, 0.9), "third": waits("second", 0.5, 1.0)}
    Stage([third, Grey("second"), Grey("first")], uses).look(GREYS)

    assert third.given == [[128, 204]]


def test_a_failure_is_on_the_images_that_were_asked_about() -> None:
    """Those carry the error as a finding; the detector is not among those that looked."""
    stage = Stage([Grey("cheap"), Grey("dear", "broken")], {"dear": waits("cheap", 0.7, 0.9)})

    looks = stage.look(GREYS)

    assert [bool(look.error) for look in looks] == [False, False, False, True, False]
    assert "broken" in looks[3].error
    failure = looks[3].findings[1]
    assert (failure.detector, failure.label, failure.score) == ("dear", "error", 1.0)
    assert looks[3].detectors == {"cheap": "sha256:grey"}


def test_a_label_that_no_check_can_name_is_a_failure() -> None:
    """An image that a detector finds fault with under another label is not clean."""

    class Plural(Grey):
        labels = ("brights",)

    (look, *_) = Stage([Plural("grey")]).look(GREYS[1:])

    assert "got 'bright'" in look.error
    assert look.detectors == {}


def test_nobody_looks_after_a_failure_that_decides() -> None:
    """Where the cheap detector failed, nothing is known, and the image has its error already."""
    dear = Grey("dear")
    stage = Stage([Grey("cheap", "broken"), dear], {"dear": waits("cheap", 0.0, 1.0)})

    assert all("broken" in look.error for look in stage.look(GREYS))
    assert dear.given == []


def test_too_slow_is_a_failure() -> None:
    """After its time no answer counts, and until the late one is back nothing more is asked."""
    gate = threading.Event()
    slow = Grey("slow", gate=gate)
    stage = Stage([slow], {"slow": DetectorUse(timeout=0.02)})
    try:
        first = stage.look(GREYS)
        second = stage.look(GREYS)
    finally:
        gate.set()

    assert {look.error for look in first} == {
        "slow: the detector 'slow' took longer than 0.1 s for 5 image(s)"
    }
    assert all("has not come back" in look.error for look in second)
    assert len(slow.given) == 1


def test_in_time_is_no_failure() -> None:
    """With time enough the findings and errors are those without a limit."""
    in_time = {"grey": DetectorUse(timeout=60)}

    assert Stage([Grey("grey")], in_time).look(GREYS) == Stage([Grey("grey")]).look(GREYS)
    assert "broken" in Stage([Grey("grey", "broken")], in_time).look(GREYS)[0].error


@pytest.mark.parametrize("band", [("absent", "bright"), ("cheap", "dark")])
def test_a_band_of_nothing_is_an_error(band: tuple[str, str]) -> None:
    """A detector, or a label, that is not there would keep another from looking for ever."""
    when = Band(detector=band[0], label=band[1], between=(0.2, 0.8))
    with pytest.raises(InputError, match="the detector 'dear' waits for the"):
        Stage([Grey("cheap"), Grey("dear")], {"dear": DetectorUse(when=when)})


def test_a_picture_that_cannot_be_read_is_an_error() -> None:
    """Nothing is said about it."""
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "PNG")
    cut = Image.open(io.BytesIO(whole.getvalue()[:1000]))
    with pytest.raises(InputError, match="expected a picture that can be read"):
        Stage([Grey("cheap")]).look([cut])


def test_looks_start_empty() -> None:
    """What is seen in one image is not seen in the next."""
    one, other = Look(), Look()
    one.detectors["a"] = "sha256:0"

    assert other.detectors == {}
