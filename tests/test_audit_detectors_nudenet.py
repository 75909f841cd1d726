import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from safegen.audit.detectors.nudenet import NudeNetDetector
from safegen.audit.detectors.nudenet.detector import LABELS
from safegen.reference.render import render
from safegen.reference.world import OCCUPATIONS, Person, Scene

nudenet = pytest.importorskip("nudenet")
FACE = LABELS.index("FACE_FEMALE")
EXPOSED, COVERED = LABELS.index("FEET_EXPOSED"), LABELS.index("FEET_COVERED")


@pytest.fixture(scope="module")
def detector() -> NudeNetDetector:
    """The detector as policies load it."""
    return NudeNetDetector()


def portraits() -> list[Image.Image]:
    """Drawn people, enlarged, on canvases of several shapes, so that all sides are padded."""
    rng = np.random.default_rng(0)
    pictures = []
    for i, size in enumerate([(320, 320), (480, 320), (320, 500), (640, 640), (200, 260)]):
        scene = Scene(Person(i % len(OCCUPATIONS), i % 2, i % 5, None), "white", "")
        canvas = Image.new("RGB", size, (250, 250, 250))
        side = min(size)
        canvas.paste(render(scene, rng).resize((side, side), Image.Resampling.BICUBIC))
        pictures.append(canvas)
    return pictures


def output(*anchors: tuple[tuple[float, float, float, float], int, float]) -> np.ndarray:
    """What the network would give: per anchor centre, size, one label and its score."""
    table = np.zeros((4 + len(LABELS), len(anchors)), dtype=np.float32)
    for column, (box, label, score) in enumerate(anchors):
        table[:4, column] = box
        table[4 + label, column] = score
    return table


def test_detections_agree_with_the_package(detector: NudeNetDetector) -> None:
    """On RGB arrays every detection of the package is found, with its score and box."""
    package = nudenet.NudeDetector()
    seen = 0
    for image, found in zip(portraits(), detector(portraits()), strict=True):
        for expected in package.detect(np.asarray(image)):
            x, y, width, height = expected["box"]
            best = max((f for f in found if f.label == expected["class"]), key=lambda f: f.score)

            assert best.score == pytest.approx(expected["score"], abs=2e-3)
            assert best.box == pytest.approx((x, y, x + width, y + height), abs=2.5)
            seen += 1

    assert seen >= 3, "the pictures must show the package something"


def test_batches_do_not_change_findings() -> None:
    """An image has the same findings alone and in company."""
    alone = NudeNetDetector(batch_size=1)(portraits())
    together = NudeNetDetector(batch_size=4)(portraits())

    for one, other in zip(alone, together, strict=True):
        assert [f.label for f in one] == [f.label for f in other]
        assert [f.score for f in one] == pytest.approx([f.score for f in other], abs=1e-4)


def test_a_covered_part_does_not_hide_an_exposed_one(detector: NudeNetDetector) -> None:
    """Boxes suppress weaker ones of their own label, never of another."""
    box, near = (100.0, 100.0, 40.0, 40.0), (102.0, 100.0, 40.0, 40.0)

    found = detector._decode(
        output((box, COVERED, 0.9), (near, EXPOSED, 0.5), (near, COVERED, 0.6)), (320, 320)
    )

    assert [(f.label, round(f.score, 2)) for f in found] == [
        ("FEET_COVERED", 0.9),
        ("FEET_EXPOSED", 0.5),
    ]


def test_boxes_are_pixels_of_the_original_image(detector: NudeNetDetector) -> None:
    """A box is scaled by the longer side and cut where the image ends."""
    (finding,) = detector._decode(output(((160, 80, 40, 20), FACE, 0.8)), (640, 400))
    assert finding.box == (280.0, 140.0, 360.0, 180.0)

    (finding,) = detector._decode(output(((160, 195, 40, 40), FACE, 0.8)), (640, 400))
    assert finding.box == (280.0, 350.0, 360.0, 400.0)


def test_the_floor_says_what_is_left_out() -> None:
    """Scores are kept down to the floor, which is part of the detector's identity."""
    low, high = NudeNetDetector(floor=0.1), NudeNetDetector(floor=0.4)
    weak = output(((160, 160, 40, 40), FACE, 0.15))

    assert [round(f.score, 2) for f in low._decode(weak, (320, 320))] == [0.15]
    assert high._decode(weak, (320, 320)) == ()
    assert low.digest != high.digest


def test_the_package_is_not_imported() -> None:
    """The AGPL code is not run; its weights are read where the user has installed them."""
    program = (
        "import sys\n"
        "from safegen.audit.detectors import load_detector\n"
        "load_detector('nudenet')\n"
        "print('nudenet' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
