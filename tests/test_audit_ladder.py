import pytest

from safegen.audit.ladder import flagged
from safegen.nouns import Agreement, AnyCheck, Check, Finding


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
