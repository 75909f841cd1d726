import numpy as np
import pytest
from PIL import Image

from safegen.audit.ladder import flagged, hidden, placeholder, rungs, stronger
from safegen.nouns import Agreement, AnyCheck, Check, Finding, Intervention, Reaction


def saw(detector: str, label: str, score: float) -> Finding:
    """A finding."""
    return Finding(detector=detector, detector_digest="sha256:0", label=label, score=score)


def check(detector: str, label: str = "x", threshold: float = 0.5) -> Check:
    """A check."""
    return Check(detector=detector, label=label, threshold=threshold)


@pytest.mark.parametrize(
    ("score", "expected"), [(0.49, False), (0.5, True), (1.0, True)], ids=["below", "at", "above"]
)
def test_a_check_flags_from_its_threshold_on(score: float, expected: bool) -> None:
    """At the threshold and above; other labels and detectors do not count."""
    found = [saw("a", "x", score), saw("a", "y", 1.0), saw("b", "x", 1.0)]

    assert flagged(found, [check("a")]) == ((found[0],) if expected else ())


@pytest.mark.parametrize(
    ("found", "votes"),
    [
        ([], 0),
        ([saw("a", "x", 0.9)], 1),
        ([saw("a", "x", 0.9), saw("a", "y", 0.9)], 1),
        ([saw("a", "x", 0.9), saw("b", "x", 0.4)], 1),
        ([saw("a", "y", 0.9), saw("b", "x", 0.5)], 2),
        ([saw("a", "x", 0.9), saw("b", "x", 0.9), saw("c", "x", 0.9)], 3),
    ],
)
@pytest.mark.parametrize("needed", [2, 3])
def test_detectors_must_agree(found: list[Finding], votes: int, needed: int) -> None:
    """Different detectors are counted, however many labels each of them sees."""
    listed = (check("a"), check("a", "y"), check("b"), check("c"))
    seen = tuple(f for f in found if f.score >= 0.5)

    result = flagged(found, [Agreement(at_least=needed, of=listed)])

    assert set(result) == (set(seen) if votes >= needed else set())


def test_a_finding_is_told_once() -> None:
    """However many checks it reaches."""
    found = [saw("a", "x", 0.9), saw("b", "x", 0.9)]
    checks: list[AnyCheck] = [Agreement(at_least=2, of=(check("a"), check("b"))), check("a")]

    assert flagged(found, checks) == tuple(found)


def test_every_ladder_ends() -> None:
    """Attempts are counted out, and past the last rung the image is blocked."""
    ladder = [Reaction(action="regenerate", times=3), Reaction(action="regenerate")]

    assert [r.action for r in rungs(ladder)] == ["regenerate"] * 4 + ["block"]
    assert [r.action for r in rungs([])] == ["block"]


def test_an_attempt_is_stronger_and_may_add_concepts() -> None:
    """What is added comes at its own strength, in place of what there is of its concept."""
    before = [
        Intervention(concept="a", strength=1.0, stop=0.5),
        Intervention(concept="b", strength=-2.0),
    ]
    added = (Intervention(concept="b", strength=0.5), Intervention(concept="c", strength=3.0))

    after = stronger(before, Reaction(action="regenerate", strength=1.5, add=added))

    assert after == (Intervention(concept="a", strength=1.5, stop=0.5), *added)


def noise(size: tuple[int, int]) -> Image.Image:
    """Random pixels."""
    width, height = size
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def colours(image: Image.Image) -> np.ndarray:
    """The pixels as numbers that can be subtracted."""
    return np.asarray(image).astype(np.int16)


@pytest.mark.parametrize("size", [(64, 64), (512, 768), (300, 40), (3, 2), (1, 1)])
def test_a_hidden_picture_keeps_nothing_fine(size: tuple[int, int]) -> None:
    """A picture and one with every pair of columns swapped look alike once they are hidden."""
    picture = noise(size)
    even = size[0] - size[0] % 2
    pixels = np.asarray(picture).copy()
    pixels[:, :even] = (
        pixels[:, :even].reshape(size[1], -1, 2, 3)[:, :, ::-1].reshape(size[1], even, 3)
    )
    swapped = Image.fromarray(pixels)

    one, other = colours(hidden(picture)), colours(hidden(swapped))

    assert one.shape == (size[1], size[0], 3)
    if min(size) >= 40:
        assert np.abs(colours(picture) - colours(swapped)).mean() > 50
        assert np.abs(one - other).max() <= 16
        assert np.abs(np.diff(one, axis=1)).max() <= 12


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((40, 40, 80, 60), (30, 35, 90, 65)),
        ((0, 0, 20, 20), (0, 0, 25, 25)),
        ((80, 90, 100, 100), (75, 87, 100, 100)),
        ((-30, -30, 400, 400), (0, 0, 100, 100)),
        ((50, 50, 50, 50), (0, 0, 100, 100)),
        ((200, 200, 210, 210), (0, 0, 100, 100)),
    ],
)
def test_boxes_are_hidden_with_a_margin(
    box: tuple[float, float, float, float], inside: tuple[int, int, int, int]
) -> None:
    """A quarter more on each side, cut at the borders, nothing else; all if a box is empty."""
    picture = noise((100, 100))
    before = picture.tobytes()

    changed = (colours(hidden(picture, [box])) != colours(picture)).any(axis=2)

    left, top, right, bottom = inside
    outside = changed.copy()
    outside[top:bottom, left:right] = False
    assert not outside.any()
    assert changed[top:bottom, left:right].mean() > 0.95
    assert picture.tobytes() == before


def test_one_empty_box_among_others_hides_all() -> None:
    """Nobody knows what that one is about."""
    picture = noise((64, 64))
    hidden_all = hidden(picture, [(0, 0, 8, 8), (200, 200, 220, 220)])

    assert hidden_all.tobytes() == hidden(picture).tobytes()


def test_a_placeholder_shows_nothing() -> None:
    """The size stays, the content is the same for all."""
    assert placeholder((30, 50)).size == (30, 50)
    assert len(placeholder((64, 64)).getcolors() or []) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"action": "block", "add": [{"concept": "a"}]},
        {"action": "regenerate", "area": "boxes"},
        {"action": "regenerate", "times": 11},
    ],
)
def test_reactions_that_make_no_sense(settings: dict[str, object]) -> None:
    """What a reaction has no use for is an error, and attempts are bounded."""
    with pytest.raises(ValueError, match="Reaction"):
        Reaction.model_validate(settings)
