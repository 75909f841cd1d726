"""What a condition's text says of its variables, and where it says nothing."""

import pytest

from safegen.policy.conditions import ConditionError, Conditions
from safegen.policy.operands import operands

CONDITIONS = Conditions(["a", "b"], ["c"])


@pytest.mark.parametrize(
    "number",
    [".6", "0.6", "00.6", "6e-1", "6E-1", "0.6e0", ".6e+0", "60.0e-2", "1e1", ".0"],
)
def test_numbers_as_cel_takes_them(number: str) -> None:
    """However a number is written, it is the one at which the condition changes."""
    condition = CONDITIONS.compile(f"score.a >= {number}")
    (read,) = operands(condition.text).comparisons

    def holds(value: float) -> bool:
        values = {"score.a": value}
        return condition.holds(CONDITIONS.activation(values))

    assert (read.variable, read.sign, read.number) == ("score.a", ">=", float(number))
    assert holds(read.number)
    assert read.number == 0 or not holds(read.number * 0.999999)


@pytest.mark.parametrize("number", ["6.", "+0.6", "0,6", "1_0.0", "0.6f", "6", "0x1", "6u", "inf"])
def test_what_cel_takes_for_no_such_number(number: str) -> None:
    """No other form needs to be read, for no policy loads with it."""
    with pytest.raises(ConditionError):
        CONDITIONS.compile(f"score.a >= {number}")


@pytest.mark.parametrize(
    ("condition", "comparisons"),
    [
        ("score.a>.6&&score.b<1e-1", [("score.a", ">", 0.6), ("score.b", "<", 0.1)]),
        ("0.5 <= score.a", [("score.a", ">=", 0.5)]),
        ("!(score.a < 0.5)", [("score.a", "<", 0.5)]),
        ("score.a >= 0.5 ? true : false", [("score.a", ">=", 0.5)]),
        ("score.a >= - 0.5", [("score.a", ">=", -0.5)]),
        ("fact.c == (score.a != 1.0)", [("score.a", "!=", 1.0)]),
        ("score.a // 'why' > 0.1\n == 0.5", [("score.a", "==", 0.5)]),
        ("score.a in [0.5, .7] || request.region in ['eu', \"uk\"]", []),
        ("'eu' == request.region && request.tenant != r'a\\b'", []),
        ("fact.c && [fact.c][0]", []),
    ],
)
def test_whole_comparisons(condition: str, comparisons: list[tuple[str, str, float]]) -> None:
    """One variable, one sign, constants: with these alone the condition changes."""
    CONDITIONS.compile(condition)
    read = operands(condition)

    assert read.comparisons == tuple(comparisons)
    assert read.calculated == frozenset()


@pytest.mark.parametrize(
    "condition",
    [
        "score.a + 0.1 >= 0.5",
        "0.1 + score.a >= 0.5",
        "score.a >= 0.5 + 0.1",
        "0.9 - 0.5 <= score.a",
        "score.a >= --0.5",
        "-score.a <= -0.5",
        "score.a >= 0.5 == fact.c",
        "score.a >= score.b",
        "(score.a) >= 0.5",
        "double(score.a) >= 0.5",
        "[score.a][0] >= 0.5",
        "0.5 in [score.a]",
        "score.a in [0.5] + [0.6]",
        "(fact.c ? score.a : 0.3) >= 0.5",
        "score.a in [score.b, 0.5]",
    ],
)
def test_calculated_scores(condition: str) -> None:
    """Where a score is part of something greater, its text does not say where it changes."""
    CONDITIONS.compile(condition)

    assert "score.a" in operands(condition).calculated


@pytest.mark.parametrize(
    "condition",
    [
        "request.region < 'eu'",
        "request.region.startsWith('eu')",
        "size(request.region) > 2",
        "request.region + 'x' == 'eux'",
        "'e' + request.region == 'eu'",
        "request.region == 'e' + 'u'",
        "request.region == 'eu'.replace('e', 'f')",
        "request.region == request.tenant",
        "request.region in ['eu', request.tenant]",
        "bytes(request.region) == br'\\d'",
    ],
)
def test_calculated_texts(condition: str) -> None:
    """Equal or not is all that can be told of a text."""
    assert "request.region" in operands(condition).calculated


def test_texts_are_what_cel_takes_them_for() -> None:
    """With marks and line breaks within, raw or not, and nothing of what a comment says."""
    condition = (
        "request.region in ['it\\'s', r'a\\b', '''x'\ny''', \"\\u00e9\"] // it's 'no' text\n"
        "|| request.tenant == \"say 'it'\""
    )
    CONDITIONS.compile(condition)

    assert operands(condition).texts == {"it's", r"a\b", "x'\ny", "é", "say 'it'"}
