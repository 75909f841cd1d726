import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from programs import printed

from safegen.audit.detectors.nudenet import NudeNetDetector
from safegen.audit.detectors.nudenet.detector import LABELS
from safegen.audit.images import views
from safegen.errors import InputError
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
    """What the network would give for one image: per anchor centre, size, a label, its score."""
    table = np.zeros((4 + len(LABELS), len(anchors)), dtype=np.float32)
    for column, (box, label, score) in enumerate(anchors):
        table[:4, column] = box
        table[4 + label, column] = score
    return table[None]


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
    alone = NudeNetDetector(batch_size=1, threads=1)(portraits())
    together = NudeNetDetector(batch_size=4, threads=2)(portraits())

    for one, other in zip(alone, together, strict=True):
        assert [f.label for f in one] == [f.label for f in other]
        assert [f.score for f in one] == pytest.approx([f.score for f in other], abs=1e-4)


def test_a_covered_part_does_not_hide_an_exposed_one(detector: NudeNetDetector) -> None:
    """Boxes suppress weaker ones of their own label, never of another."""
    box, near = (100.0, 100.0, 40.0, 40.0), (102.0, 100.0, 40.0, 40.0)

    found = detector._decode(
        output((box, COVERED, 0.9), (near, EXPOSED, 0.5), (near, COVERED, 0.6)), [(320, 320)]
    )[0]

    assert [(f.label, round(f.score, 2)) for f in found] == [
        ("FEET_COVERED", 0.9),
        ("FEET_EXPOSED", 0.5),
    ]


def test_boxes_suppress_within_their_own_image_only(detector: NudeNetDetector) -> None:
    """In a batch, the same part at the same place of two images is found in both."""
    one, other = (output(((100.0, 100.0, 40.0, 40.0), FACE, score)) for score in (0.9, 0.8))

    first, second = detector._decode(np.concatenate([one, other]), [(320, 320), (640, 640)])

    assert (len(first), len(second)) == (1, 1)
    assert second[0].box == tuple(2 * side for side in first[0].box or ())


def test_boxes_are_pixels_of_the_original_image(detector: NudeNetDetector) -> None:
    """A box is scaled by the longer side and cut where the image ends."""
    ((finding,),) = detector._decode(output(((160, 80, 40, 20), FACE, 0.8)), [(640, 400)])
    assert finding.box == (280.0, 140.0, 360.0, 180.0)

    ((finding,),) = detector._decode(output(((160, 195, 40, 40), FACE, 0.8)), [(640, 400)])
    assert finding.box == (280.0, 350.0, 360.0, 400.0)


def test_the_floor_says_what_is_left_out() -> None:
    """Scores are kept down to the floor, which is part of the detector's identity."""
    low, high = NudeNetDetector(floor=0.1), NudeNetDetector(floor=0.4)
    weak = output(((160, 160, 40, 40), FACE, 0.15))

    assert [round(f.score, 2) for f in low._decode(weak, [(320, 320)])[0]] == [0.15]
    assert high._decode(weak, [(320, 320)]) == [()]
    assert low.digest != high.digest


# --- what the package does, and SafeGen does not ------------------------------------------------


def package_reads(source: object) -> np.ndarray:
    """What the package would give to the network."""
    blob: np.ndarray = nudenet.nudenet._read_image(source)[0]
    return blob


def test_the_package_swaps_colours_of_files(detector: NudeNetDetector, tmp_path: Path) -> None:
    """It shows the network a red file as blue; here a file and an array are the same picture."""
    red = Image.new("RGB", (320, 320), (200, 30, 10))
    red.save(tmp_path / "red.png")

    from_file = package_reads(str(tmp_path / "red.png"))
    from_array = package_reads(np.asarray(red))
    ours = detector._letterbox(views(tmp_path / "red.png"))

    assert from_file[0, :, 0, 0] == pytest.approx(np.array([10, 30, 200]) / 255, abs=1e-6)
    assert from_array[0, :, 0, 0] == pytest.approx(np.array([200, 30, 10]) / 255, abs=1e-6)
    assert np.array_equal(ours, from_array)


def test_the_package_ignores_providers() -> None:
    """It takes any name and runs on the CPU; here the name is refused."""
    package = nudenet.NudeDetector(providers=["NoSuchExecutionProvider"])

    assert "CPUExecutionProvider" in package.onnx_session.get_providers()
    with pytest.raises(InputError, match="NoSuchExecutionProvider"):
        NudeNetDetector(providers=["NoSuchExecutionProvider"])


def package_decodes(table: np.ndarray) -> list[dict[str, object]]:
    """What the package makes of the network's output for a 320 x 320 image."""
    found: list[dict[str, object]] = nudenet.nudenet._postprocess(
        [table], 0, 0, 1, 1, 320, 320, 320, 320
    )
    return found


def test_the_package_hides_exposed_parts(detector: NudeNetDetector) -> None:
    """It lets a covered part suppress an exposed one, and hides what scores below 0.25."""
    table = output(
        ((100, 100, 40, 40), COVERED, 0.9),
        ((102, 100, 40, 40), EXPOSED, 0.8),
        ((250, 250, 40, 40), FACE, 0.24),
    )

    assert [found["class"] for found in package_decodes(table)] == ["FEET_COVERED"]
    assert [f.label for f in detector._decode(table, [(320, 320)])[0]] == [
        "FEET_COVERED",
        "FEET_EXPOSED",
        "FACE_FEMALE",
    ]


def calls(work: Callable[[], object]) -> int:
    """How many functions `work` calls, those of NumPy included."""
    count = 0

    def tick(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(tick)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def test_the_package_loops_over_anchors(detector: NudeNetDetector) -> None:
    """It calls Python functions for each of 2100 anchors; here their number does not matter."""
    few, many = (
        np.zeros((1, 4 + len(LABELS), anchors), np.float32) + np.float32(0.01)
        for anchors in (21, 2100)
    )

    assert calls(lambda: package_decodes(many)) > 2100
    assert calls(lambda: detector._decode(many, [(320, 320)])) == calls(
        lambda: detector._decode(few, [(320, 320)])
    )


def test_the_package_stumbles_over_what_it_cannot_read(
    detector: NudeNetDetector, tmp_path: Path
) -> None:
    """It raises AttributeError for a file that is no image; here the error says what it is."""
    (tmp_path / "text.png").write_text("no image")

    with pytest.raises(AttributeError):
        package_reads(str(tmp_path / "text.png"))
    with pytest.raises(InputError, match=r"text\.png: expected an image"):
        views(tmp_path / "text.png")

    whole = io.BytesIO()
    portraits()[0].save(whole, "PNG")
    with pytest.raises(InputError, match="expected a picture that can be read"):
        detector([Image.open(io.BytesIO(whole.getvalue()[:2000]))])


def test_the_package_is_not_imported() -> None:
    """The AGPL code is not run; its weights are read where the user has installed them."""
    program = (
        "import sys\n"
        "from safegen.audit.detectors import load_detector\n"
        "load_detector('nudenet')\n"
        "print('nudenet' in sys.modules)"
    )
    assert printed(program) == "False"
