"""Several classifiers as one; none of their failures counts as harmless."""

from collections.abc import Sequence

import pytest

from safegen.errors import ClassifierError
from safegen.nouns import Scores, Span
from safegen.risk import Classifier, classify

SPAN = Span(name="a", start=0, end=1)


def always(*found: Scores) -> Classifier:
    """A classifier with the same answer to everything."""

    def answer(_: Sequence[str]) -> Sequence[Scores]:
        return found

    return answer


def test_scores_facts_and_spans_merge() -> None:
    """The highest score, facts that anyone found, all spans."""
    one = Scores(values={"a": 0.2, "b": 0.9}, facts={"x": False, "y": True}, spans=(SPAN,))
    two = Scores(values={"a": 0.7}, facts={"x": True, "y": False, "z": False}, spans=(SPAN,))

    assert classify([always(one), always(two)], ["prompt"]) == [
        Scores(
            values={"a": 0.7, "b": 0.9},
            facts={"x": True, "y": True, "z": False},
            spans=(SPAN, SPAN),
        )
    ]


def test_no_classifier_no_scores() -> None:
    """Every prompt gets its scores, be they empty."""
    assert classify([], ["a", "b"]) == [Scores(), Scores()]


def test_a_classifier_that_raises() -> None:
    """An exception is an error that names the classifier."""

    def broken(_: Sequence[str]) -> Sequence[Scores]:
        raise OSError("no weights")

    with pytest.raises(ClassifierError, match=r"'broken' failed: no weights"):
        classify([broken], ["prompt"])


def test_a_wrong_number_of_results() -> None:
    """One result too few or too many is an error."""
    with pytest.raises(ClassifierError, match="gave 1 results for 2 prompts"):
        classify([always(Scores())], ["a", "b"])
    with pytest.raises(ClassifierError, match="gave 1 results for 0 prompts"):
        classify([always(Scores())], [])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_score_outside_its_range(value: float) -> None:
    """NaN and scores outside [0, 1] are errors even if the classifier went round validation."""
    smuggled = Scores.model_construct(values={"a": value}, facts={}, spans=())
    with pytest.raises(ClassifierError, match="not in"):
        classify([always(smuggled)], ["prompt"])
