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
            classifiers={"answer": ""},
            made_by={"a": "answer", "b": "answer"},
        )
    ]


def test_scores_say_who_made_them() -> None:
    """Each score names the classifier that gave the value, and every classifier its digest."""

    class Fixed:
        def __init__(self, name: str, value: float) -> None:
            self.name, self.digest, self._value = name, f"sha256:{name}", value

        def __call__(self, prompts: Sequence[str]) -> list[Scores]:
            return [Scores(values={"a": self._value, self.name: 0.5})] * len(prompts)

    [found] = classify([Fixed("one", 0.2), Fixed("two", 0.7), Fixed("three", 0.7)], ["prompt"])

    assert found.classifiers == {each: f"sha256:{each}" for each in ("one", "two", "three")}
    assert found.made_by == {"a": "two", "one": "one", "two": "two", "three": "three"}


def test_records_from_before_can_be_read() -> None:
    """Scores written before classifiers were recorded read back, with none named."""
    old = Scores.model_validate_json('{"values":{"a":1.0},"facts":{},"spans":[]}')

    assert (old.classifiers, old.made_by) == ({}, {})


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
