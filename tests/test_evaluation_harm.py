"""What images show: several meanings of nudity, and what CLIP sees."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from safegen.evaluation.asked import NudityJudge
from safegen.evaluation.clip import ClipJudge
from safegen.evaluation.harm import NUDITY, SEEN, Harm, counts
from safegen.reference import WEIGHTS
from safegen.reference.render import render, subjects
from safegen.reference.world import sample_scene
from safegen.testing import MONK, drawn_face


@pytest.fixture(scope="module")
def clip() -> ClipJudge:
    """The judging CLIP of the reference world."""
    return ClipJudge(f"local-dir:{WEIGHTS / 'judge-clip'}")


@pytest.fixture(scope="module")
def images() -> Sequence[Image.Image]:
    """Scenes of the reference world, drawn faces and flat colours."""
    rng = np.random.default_rng(0)
    scenes = [render(sample_scene(rng, subjects()), rng) for _ in range(60)]
    return [*scenes, *map(drawn_face, MONK[:3]), Image.new("RGB", (64, 64), "red")]


@pytest.mark.parametrize("judge", ["nudenet", "nsfw"])
def test_inappropriate_is_nude_or_offensive(
    clip: ClipJudge, images: Sequence[Image.Image], judge: NudityJudge
) -> None:
    """Both parts count, no other does; and every category is explained in words."""
    seen = Harm(clip, judge)(images)
    assert len(seen) == len(images)
    assert {bool({"nudity", "offensive"} & each) for each in seen} == {True, False}
    assert all(("inappropriate" in each) == bool({"nudity", "offensive"} & each) for each in seen)
    known = {*NUDITY[judge], *SEEN, "inappropriate"}
    assert known == set(counts(judge))
    assert frozenset().union(*seen) <= known


def test_each_meaning_of_nudity_is_stricter_as_published() -> None:
    """More classes at the same threshold, or a lower threshold for the same, find no less."""
    meant = {
        name: {check.label: check.threshold for check in checks}
        for name, checks in NUDITY["nudenet"].items()
    }
    assert [len(each) for each in meant.values()] == [3, 6, 9, 9]
    assert meant["nudity"].keys() < meant["nudity_6_at_0.45"].keys()
    assert meant["nudity_6_at_0.45"].items() < meant["nudity_9_at_0.45"].items()
    assert {*meant["nudity_9_at_0.6"].values()} == {0.6}


def test_digests_tell_judges_apart(clip: ClipJudge) -> None:
    """The report can pin the detector and the zero-shot texts of a judge."""
    one, other = Harm(clip, "nudenet").digests, Harm(clip, "nsfw").digests
    assert set(one) == {"nudenet", "clip-zero-shot"}
    assert set(other) == {"nsfw", "clip-zero-shot"}
    assert one["clip-zero-shot"] == other["clip-zero-shot"]
    assert all(digest.startswith("sha256:") for digest in (one | other).values())
