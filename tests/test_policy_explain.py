"""Why a decision: what fired, what nearly did, and what was in the way."""

from collections.abc import Sequence

import pytest

from safegen.nouns import Context, Scores
from safegen.policy import Policy
from safegen.policy.explain import explain, told

POLICY = """\
apiVersion: safegen/v1
metadata: {name: small, version: "1"}
lists:
  hat: {kind: fact, terms: [hat]}
  cap: {kind: fact, terms: [cap]}
rules:
  - {id: hot, when: score.heat >= 0.5, then: {block: {reason: hot}}}
  - {id: warm, when: score.heat > 0.3, enforce: shadow, then: {review: {reason: warm}}}
  - {id: cold, when: score.heat < 0.1, then: {steer: [{concept: warm}]}}
  - {id: hat, when: "fact.hat && request.region == 'eu'", then: {steer: [{concept: x}]}}
  - {id: never, when: score.heat > 0.6 && score.heat < 0.4, then: {steer: [{concept: x}]}}
"""
PAIR = (
    POLICY.split("rules:")[0]
    + """\
rules: [{id: both, when: fact.hat && fact.cap, then: {block: {reason: both}}}]
"""
)


def heat(value: float) -> Policy:
    """The policy, with a classifier that always gives this score."""

    def classifier(prompts: Sequence[str]) -> list[Scores]:
        return [Scores(values={"heat": value}) for _ in prompts]

    return Policy(POLICY, classifiers=[classifier])


def test_in_plain_words() -> None:
    """What came of it and why, the words that counted, and what the nearest rules lack."""
    lines = told(explain(heat(0.45), "a hat", Context()))

    assert lines == [
        "allowed",
        "  'hat' counts as hat",
        "rules that fired:",
        "  warm, would send to review, saw score.heat = 0.45",
        "rules that nearly fired:",
        "  hot would block with score.heat 0.5 or more (it is 0.45)",
        "  cold would steer with score.heat below 0.1 (it is 0.45)",
        "  hat would steer with request.region 'eu' (it is '')",
    ]


@pytest.mark.parametrize(
    ("value", "rule", "needs"),
    [(0.3, "warm", "above 0.3"), (0.1, "cold", "below 0.1"), (0.4999, "hot", "0.5 or more")],
)
def test_the_nearest_comes_first(value: float, rule: str, needs: str) -> None:
    """Misses are ordered by how little they lack."""
    first = explain(heat(value), "a cat", Context()).misses[0]

    assert (first.rule, first.needs[0].needs) == (rule, needs)


def test_a_stop_has_its_reason() -> None:
    """A decision that stops names its reason code."""
    assert told(explain(heat(0.5), "a cat", Context()))[0] == "blocked, because of hot"


def test_two_operands_in_the_way() -> None:
    """Where no rule lacks just one thing, those that lack two are told."""
    explanation = explain(Policy(PAIR), "a cat", Context())
    (miss,) = explanation.misses

    assert [need.variable for need in miss.needs] == ["fact.hat", "fact.cap"]
    assert told(explanation)[-1] == (
        "  both would block with fact.hat true (it is false) and fact.cap true (it is false)"
    )


def needs(when: str, heat: float = 0.0) -> list[str]:
    """What a rule with this condition lacks, for a prompt without context and words."""

    def classifier(prompts: Sequence[str]) -> list[Scores]:
        return [Scores(values={"heat": heat, "cold": 0.0}) for _ in prompts]

    text = POLICY.split("rules:")[0]
    text += f'rules: [{{id: a, when: "{when}", then: {{block: {{reason: a}}}}}}]\n'
    explanation = explain(Policy(text, classifiers=[classifier]), "a cat", Context())
    return [f"{need.variable} {need.needs}" for miss in explanation.misses for need in miss.needs]


@pytest.mark.parametrize(
    ("when", "heat", "expected"),
    [
        ("score.heat > .6 && score.heat < .9", 0.0, "above 0.6 and below 0.9"),
        ("score.heat > .6 && score.heat < .9", 1.0, "below 0.9 and above 0.6"),
        ("score.heat >= 0.3 && score.heat <= 0.6", 0.0, "0.3 or more and 0.6 or less"),
        ("score.heat >= 0.3 && score.heat != 0.6", 0.0, "0.3 or more and below 0.6"),
        ("score.heat == 0.5", 0.0, "exactly 0.5"),
        ("score.heat == 1.0", 0.0, "exactly 1"),
        ("score.heat != 1.0", 1.0, "below 1"),
        ("!(score.heat < 5e-1)", 0.0, "0.5 or more"),
        ("score.heat >= 0.5 ? true : false", 0.25, "0.5 or more"),
        ("score.heat > 0.1234567", 0.0, "above 0.1234567"),
        ("score.heat > 0.5 && score.heat < 0.5000000001", 0.0, "above 0.5 and below 0.5000000001"),
    ],
)
def test_all_values_that_are_named_fit(when: str, heat: float, expected: str) -> None:
    """A limit is told from both sides where the rule does not fire beyond."""
    assert needs(when, heat) == [f"score.heat {expected}"]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("score.heat + score.cold >= 1.5", []),
        ("score.heat > score.cold", []),
        ("-score.heat <= -0.5", []),
        ("request.region.startsWith('e')", []),
        ("score.heat + score.cold >= 0.0 && fact.hat", ["fact.hat true"]),
        ("request.region in ['eu', 'uk']", ["request.region 'eu'"]),
        ("request.region != ''", ["request.region something else"]),
    ],
)
def test_nothing_is_told_of_what_is_calculated_with(when: str, expected: list[str]) -> None:
    """Where a sum or the beginning of a text would have to lie is not known."""
    assert needs(when) == expected


def test_two_ranges_fit_together() -> None:
    """Any values that are named make the rule fire, whichever of them are taken."""
    both = "score.heat >= 0.5 && score.cold >= 0.5"
    corner = f"{both} && (score.heat == 0.5 || score.cold == 0.5)"

    assert needs(both) == ["score.heat 0.5 or more", "score.cold 0.5 or more"]
    assert needs(corner) == ["score.heat 0.5 or more", "score.cold exactly 0.5"]


def test_a_number_of_misses() -> None:
    """Not more are told than asked for, and how many there are beside them."""
    explanation = explain(heat(0.2), "a hat", Context(), most=1)

    assert len(explanation.misses) == 1
    assert explanation.further == 3
    assert told(explanation)[-1] == "  and 3 more"


def test_what_the_prompt_holds_comes_first() -> None:
    """A rule that only an exempting word kept from firing is told before those that found nothing.

    A score that is 0 is nearer to its threshold than a fact is to its opposite.
    """
    rules = "".join(
        f"  - {{id: n{i}, when: score.heat > 0.{i}, then: {{block: {{reason: n}}}}}}\n"
        for i in range(1, 8)
    )
    text = POLICY.split("rules:")[0] + "rules:\n" + rules
    text += "  - {id: hat, when: fact.hat && !fact.cap, then: {block: {reason: hat}}}\n"

    def cold(prompts: Sequence[str]) -> list[Scores]:
        return [Scores(values={"heat": 0.0}) for _ in prompts]

    explanation = explain(Policy(text, classifiers=[cold]), "a hat and a cap", Context())
    first, *others = explanation.misses

    assert (first.rule, first.evident) == ("hat", True)
    assert first.needs[0].variable == "fact.cap"
    assert not any(miss.evident for miss in others)


def test_a_priority_is_told() -> None:
    """A rule that fired says the priority with which it did, in words and for machines."""
    policy = Policy(PAIR.replace("id: both", "id: both, priority: 7"))
    explanation = explain(policy, "a hat and a cap", Context())

    assert explanation.priorities == {"both": 7}
    assert "  both, to block, priority 7, saw fact.hat = true, fact.cap = true" in told(explanation)


def test_a_shadow_would_only_record() -> None:
    """What a rule that does nothing nearly did is told as that, in words and for machines."""
    explanation = explain(heat(0.2), "a cat", Context())
    actions = {miss.rule: miss.action for miss in explanation.misses}

    assert (actions["warm"], actions["hot"]) == ("would_review", "block")
    assert (
        "  warm would only record, as a shadow, that it would send to review with score.heat above "
        "0.3 (it is 0.2)"
    ) in told(explanation)


@pytest.mark.parametrize(
    ("when", "prompt", "expected"),
    [
        ("score.hat >= 0.3 && score.hat < 0.8", "a cat", []),
        ("score.hat >= 0.3 && score.hat < 0.8", "a hat", []),
        ("score.hat >= 0.3 && fact.cap", "a cap", ["0.3 or more"]),
        ("score.hat < 0.3 && fact.cap", "a hat and a cap", ["below 0.3"]),
    ],
)
def test_a_list_finds_all_or_nothing(when: str, prompt: str, expected: list[str]) -> None:
    """A score that only a list gives is never told to be between 0 and 1."""
    text = PAIR.replace("hat: {kind: fact", "hat: {kind: score")
    policy = Policy(text.replace("fact.hat && fact.cap", f'"{when}"'))
    misses = explain(policy, prompt, Context()).misses

    assert [need.needs for miss in misses for need in miss.needs] == expected


def test_what_an_exception_excuses_is_told() -> None:
    """A word that a list knows and does not count there is named; one that counts elsewhere not."""
    text = PAIR.replace("terms: [hat]", "terms: [hat], except_in: [hat trick]")
    explanation = explain(Policy(text), "a hat trick with a cap", Context())
    both = explain(Policy(text), "a hat trick with a hat", Context())

    assert [(word.name, word.text) for word in explanation.excused] == [("hat", "hat")]
    assert told(explanation)[2] == "  'hat' does not count as hat, by an exception of the list"
    assert len(both.excused) == 1
    assert "  'hat' counts as hat" in told(both)
