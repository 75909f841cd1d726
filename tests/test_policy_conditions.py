"""Conditions: checked at load, and never a silent no."""

import re
from itertools import product

import pytest

from safegen.policy.conditions import ConditionError, Conditions

CONDITIONS = Conditions(["risk"], ["person"])
VALUES: dict[str, float | bool | str] = {
    "score.risk": 0.5,
    "fact.person": True,
    "request.tenant": "acme",
    "request.region": "",
    "request.age_band": "",
    "request.surface": "",
}


def holds(text: str) -> bool:
    """Whether a condition holds for the values above."""
    return CONDITIONS.compile(text).holds(CONDITIONS.activation(VALUES))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("score.risk >= 0.5", True),
        ("score.risk > 0.5", False),
        ("fact.person && request.tenant in ['acme', 'other']", True),
        ("!fact.person || request.region == 'eu'", False),
    ],
)
def test_conditions_hold_or_not(text: str, expected: bool) -> None:
    """Scores, facts and the request are compared as written."""
    assert holds(text) is expected


@pytest.mark.parametrize("text", ["1 / 0 == 1", "double(request.tenant) > 0.5", "dyn(1)"])
def test_what_cannot_be_evaluated_is_an_error(text: str) -> None:
    """An evaluation that fails is an error, for taking it for "no" would let a request pass."""
    with pytest.raises(ConditionError):
        holds(text)


def test_a_missing_value_is_an_error() -> None:
    """A variable without a value is an error too."""
    with pytest.raises(ConditionError, match="cannot be evaluated"):
        CONDITIONS.compile("score.risk >= 0.5").holds(CONDITIONS.activation({}))


def test_a_condition_knows_its_variables() -> None:
    """Variables are named once each, and not those that stand in a string."""
    condition = CONDITIONS.compile(
        "score.risk > 0.1 && score.risk < 0.9 || request.tenant == 'fact.x'"
    )

    assert condition.variables == ("score.risk", "request.tenant")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("score .risk >= 0.5", 1, 7),
        ("fact.person && score. risk >= 0.5", 1, 21),
        ("score.risk >= 0.1 && score\n  .risk >= 0.5", 2, 3),
        ("fact.person ||\n  score // of the prompt\n.risk >= 0.5", 3, 1),
        ("(score).risk >= 0.5", 1, 8),
        ("score.`risk` >= 0.5", 1, 6),
        ("'it\\'s' == request.region || fact\t.person || request.tenant == ''", 1, 35),
    ],
)
def test_a_variable_is_one_word(text: str, line: int, column: int) -> None:
    """CEL knows other ways to spell one, by which locks, records and lints would miss it."""
    with pytest.raises(ConditionError, match="is not written as one word") as caught:
        CONDITIONS.compile(text)

    assert (caught.value.line, caught.value.column) == (line, column)
    assert re.match(r"write (score.risk|fact.person),", caught.value.mend or "")


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("request.tenant == 'score'", ("request.tenant",)),
        (".score.risk > 0.1", ("score.risk",)),
        ("true // score .risk", ()),
        ("has(fact.person)", ("fact.person",)),
    ],
)
def test_what_only_looks_like_a_variable_apart(text: str, variables: tuple[str, ...]) -> None:
    """Texts and comments may hold anything."""
    assert CONDITIONS.compile(text).variables == variables


@pytest.mark.parametrize(
    "text",
    ["[1, 2].all(x, x > 0)", "[1].exists (x, true)", "true || [1].map( // why\n x, x) == [1]"],
)
def test_loops_are_refused(text: str) -> None:
    """Nested loops over a few values take for ever, so there are none."""
    with pytest.raises(ConditionError, match="loops"):
        CONDITIONS.compile(text)


def test_names_like_loops_are_names() -> None:
    """A score may be called `map`."""
    assert Conditions(["map"], []).compile("score.map > 0.5").variables == ("score.map",)


def test_an_error_points_at_the_place() -> None:
    """Line and column are those within the condition."""
    with pytest.raises(ConditionError) as caught:
        CONDITIONS.compile("fact.person &&\n  scor.risk > 0.5")

    assert (caught.value.line, caught.value.column) == (2, 3)
    assert caught.value.mend == "did you mean score.risk?"


def test_conditions_together_are_what_they_are_one_by_one() -> None:
    """One program gives the answers of all, comments and line breaks included."""
    conditions = Conditions(["a"], ["b"])
    texts = ["score.a > 0.5 // high", "fact.b ||\n  score.a < 0.1", "true ? fact.b : !fact.b"]
    compiled = [conditions.compile(text) for text in texts]
    together = conditions.together(compiled)
    for a, b in product((0.0, 0.3, 0.9), (False, True)):
        values = conditions.activation({"score.a": a, "fact.b": b})

        assert together.holding(values) == [each.holds(values) for each in compiled]


def test_one_error_leaves_the_others_to_themselves() -> None:
    """Where one condition cannot be evaluated, together they give no answer at all."""
    conditions = Conditions(["a"], [])
    texts = ["score.a > 0.5", "1 / int(score.a) > 0"]
    together = conditions.together(conditions.compile(text) for text in texts)

    assert together.holding(conditions.activation({"score.a": 0.0})) is None
    assert together.holding(conditions.activation({"score.a": 1.0})) == [True, True]


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("fact.f and score.s >= 0.5", "write && for and"),
        ("fact.f OR fact.f", "write || for or"),
        ("not fact.f", "write ! for not"),
        ("request.region = 'eu and us'", "write == for ="),
        ("score.f >= 0.5", "f is a fact: write fact.f"),
        ("fact.s", "s is a score: write score.s"),
        ("request.user == 'x'", "tenant, region, age_band, surface, and nothing else"),
        ("request.images == 'x'", "tenant, region, age_band, surface, and nothing else"),
        ("request.regoin == 'x'", "did you mean request.region?"),
    ],
)
def test_words_of_other_languages_have_a_mend(text: str, mend: str) -> None:
    """And so has a score that is a fact, or what rules do not see of a request."""
    with pytest.raises(ConditionError) as caught:
        Conditions(["s"], ["f"]).compile(text)

    assert mend in str(caught.value.mend)
