"""Conditions that sleep: none that would hold, or could not be evaluated, is ever left out."""

import json
import math
from collections.abc import Iterable, Sequence
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safegen.errors import PolicyError
from safegen.nouns import Scores
from safegen.policy import Policy, index
from safegen.policy.conditions import Condition, Conditions, Together
from safegen.policy.evaluate import Values
from safegen.policy.index import Index

CONDITIONS = Conditions(["a", "b"], ["c", "d"])
REST: dict[str, float | bool | str] = {
    "score.a": 0.0,
    "score.b": 0.0,
    "fact.c": False,
    "fact.d": False,
    "request.tenant": "",
    "request.region": "",
    "request.age_band": "",
    "request.surface": "",
}
# A half, what is next to it, what few digits do not tell from it, and the ends of all scores.
NUMBERS = [
    "0.0",
    "5e-324",
    "0.3",
    "0.5",
    "0.50000000000000005",
    "0.5000000000000001",
    "1.0",
    "-0.5",
]
TEXTS = ["''", "'eu'", '"eu"', "r'eu'", "'''eu'''", "'\\u0065u'", "'e\\x00u'", "'é'", "'&&'"]
ODD = [
    "1 / 0 == 1", "dyn(1)", "1 / int(score.a) > 0", "double(request.tenant) > 0.5", "dyn(fact.c)",
    "[fact.c && fact.d && fact.c][0]", "{'x': fact.c}['y']", "fact.c in [true && fact.d]",
    "request.region.startsWith('e')", "request.region.matches('(')", "size(request.region) > 1",
    "request.region in ['eu'] + ['us']", "request.region in ['eu', request.tenant]",
    "request.region == 'e' + 'u'", "score.a + score.b > 0.5", "-score.a < 0.5", "score.a in [0.5]",
    "request.region > 'a'", "'a' < 'b'", "0.3 < 0.5", "true", "false", "has(fact.c)",
]  # fmt: skip

scores = st.builds(
    "score.{} {} {}".format,
    st.sampled_from("ab"),
    st.sampled_from([">", ">=", ">=", "<", "<=", "==", "!="]),
    st.sampled_from(NUMBERS),
)
mirrored = st.builds(
    "{} {} score.{}".format,
    st.sampled_from(NUMBERS),
    st.sampled_from([">", ">=", "<", "<=", "<=", "==", "!="]),
    st.sampled_from("ab"),
)
facts = st.sampled_from(["fact.c", "fact.d", "!fact.c", "fact.c == true"])
requests = st.builds(
    "request.{} {} {}".format,
    st.sampled_from(["tenant", "region"]),
    st.sampled_from(["==", "==", "!="]),
    st.sampled_from(TEXTS),
)
listed = st.lists(st.sampled_from(TEXTS), max_size=6).map(
    lambda texts: f"request.region in [{', '.join(texts)}]"
)
usual_terms = st.one_of(scores, mirrored, facts, requests, listed)
terms = st.one_of(usual_terms, usual_terms, usual_terms, st.sampled_from(ODD))
texts = st.recursive(
    terms,
    lambda inner: st.one_of(
        *[st.builds("{} && {}".format, inner, inner)] * 3,
        st.builds("{} || {}".format, inner, inner),
        *[st.builds("({})".format, inner)] * 2,
        st.builds("!({})".format, inner),
        *[st.builds("{} ? {} : {}".format, inner, inner, inner)] * 2,
        st.builds("({}) == ({})".format, inner, inner),
        st.builds("{} == {}".format, inner, inner),
        st.builds("{} // fact.c && (\n".format, inner),
    ),
    max_leaves=8,
)
# What stands between && or || is not always what they join.
misleading = st.builds(
    str.format,
    st.sampled_from(
        [
            "{0} && {1} ? {2} : !({3})",
            "{0} ? {1} : !({2}) && {3}",
            "{0} && [!({1}), {2} && {3} && {0}][0]",
            "{{'x': !({0}), 'y': {1} && {2} && {3}}}['x']",
            "{0} == {1} && !({2} && {3})",
            "!({0} && {1}) && {2} == {3}",
        ]
    ),
    *[usual_terms] * 4,
)
usual = st.fixed_dictionaries(
    {
        **dict.fromkeys(
            ["score.a", "score.b"],
            st.sampled_from([0.0, 0.0, 5e-324, 0.3, 0.5, math.nextafter(0.5, 1), 1.0, math.nan]),
        ),
        **dict.fromkeys(["fact.c", "fact.d"], st.booleans()),
        **dict.fromkeys(
            ["request.tenant", "request.region"], st.sampled_from(["", "eu", "é", "&&"])
        ),
    }
).map(lambda values: REST | values)
unusual = st.builds(
    lambda values, name, value: {
        **{n: v for n, v in values.items() if n != name},
        **({} if value is None else {name: value}),
    },
    usual,
    st.sampled_from([name for name in REST if name not in ("request.age_band", "request.surface")]),
    st.sampled_from([None, 1, 0, True, False, 0.5, "eu", "e\0u", "eu\0", "\ud800", "e\n", b"eu"]),
)


def compiles(text: str) -> bool:
    """Whether CEL takes a text for a condition."""
    try:
        CONDITIONS.compile(text)
    except ValueError:
        return False
    return True


whens = st.one_of(texts, texts, misleading, st.sampled_from(ODD)).filter(compiles)


def policy_of(whens: Sequence[str]) -> Policy:
    """A policy with a rule for each condition."""

    def scores(prompts: Sequence[str]) -> Sequence[Scores]:
        return [Scores(values={"a": 0, "b": 0}, facts={"c": False, "d": False}) for _ in prompts]

    rules = [
        {"id": f"r{at}", "when": when, "then": {"block": {"reason": "x"}}}
        for at, when in enumerate(whens)
    ]
    file = {"apiVersion": "safegen/v1", "metadata": {"name": "p", "version": "1"}, "rules": rules}
    return Policy(json.dumps(file), classifiers=[scores])


def outcome(policy: Policy, values: Values, one_by_one: bool) -> list[str] | str:
    """The rules that fire, or the error that there is instead."""
    try:
        fired = policy.firing(values, policy.rules if one_by_one else None)
    except PolicyError as error:
        # CEL raises at a text that it cannot take, before or after a rule that is an error.
        return "error" if "\ud800" in values.values() else str(error)
    except RuntimeError:
        return "error"
    return [each.rule.id for each in fired]


@settings(max_examples=100, deadline=None)
@given(
    whens=st.lists(whens, min_size=5, max_size=8),
    every=st.lists(usual | usual | usual | unusual, min_size=6, max_size=20),
    call=st.sampled_from([-1000, -1000, 0, 20]),
)
def test_what_fires_is_what_fires_one_by_one(
    whens: list[str], every: list[Values], call: int
) -> None:
    """The same rules in the same order, or the same error; whatever a call of CEL costs."""
    with patch.object(index, "_CALL", call):
        policy = policy_of(whens)
        for values in every:
            assert outcome(policy, values, False) == outcome(policy, values, True)


class Watched(Index):
    """An index that tells which conditions were evaluated."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.evaluated: set[str] = set()
        super().__init__(conditions, self.together)

    def together(self, conditions: Iterable[Condition]) -> Together:
        """Conditions whose evaluation is noted."""
        told = list(conditions)
        made = CONDITIONS.together(told)
        index = self

        class Noting(Together):
            def holding(self, activation: object) -> list[bool] | None:
                index.evaluated |= {each.text for each in told}
                return made.holding(activation)

        return Noting(None)


def awake(texts: Sequence[str], **given: float | bool | str) -> set[str]:
    """Which of these are evaluated, among many of which none is."""
    many = [f"fact.d && score.b > 0.{at}" for at in range(100, 200)]
    watched = Watched([CONDITIONS.compile(text) for text in [*texts, *many]])
    values = REST | {name.replace("_", ".", 1): value for name, value in given.items()}
    watched.holding(values, CONDITIONS.activation(values))
    return watched.evaluated


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("score.a >= 0.5", {"score_a": 0.5}),
        ("score.a > 0.0", {"score_a": 5e-324}),
        ("0.5 < score.a", {"score_a": math.nextafter(0.5, 1)}),
        ("score.a == 0.5", {"score_a": 0.5}),
        ("fact.c", {"fact_c": True}),
        ("request.region == 'it\\'s'", {"request_region": "it's"}),
        ("'eu' == request.region", {"request_region": "eu"}),
        ("request.region in ['eu', \"uk\"]", {"request_region": "uk"}),
        ("!fact.d && 1 / 0 == 1 && score.a >= 0.5", {"score_a": 0.5}),
        (
            "(fact.d || fact.c && (score.a >= 0.5)) && score.a < 0.9",
            {"score_a": 0.5, "fact_c": True},
        ),
        ("score.a >= 0.5 || score.b < 0.5 && fact.c", {"fact_c": True}),
    ],
)
def test_a_condition_sleeps_until_what_it_waits_for(
    text: str, given: dict[str, float | bool | str]
) -> None:
    """It is evaluated where it may hold, and not where nothing is so that it needs."""
    assert awake([text]) == set()
    assert text in awake([text], **given)


@pytest.mark.parametrize(
    "text",
    [
        "score.a < 0.5",
        "score.a >= 0.0",
        "!fact.c",
        "request.region == ''",
        "request.region != 'eu'",
        "score.a >= 0.5 || !fact.c",
        "score.a >= 0.5 ? fact.c : fact.d",
        "[score.a >= 0.5][0]",
        "score.a >= 0.5 == fact.c",
        "request.region in ['a', 'b', 'c', 'd', 'e']",
        "request.region in ['eu'] + ['us']",
        "!(score.a >= 0.5)",
        "0.3 < 0.5",
    ],
)
def test_what_may_hold_at_rest_or_is_not_understood_never_sleeps(text: str) -> None:
    """Where in doubt, a condition is evaluated."""
    assert awake([text]) == {text}


def test_conditions_wait_for_what_few_wait_for() -> None:
    """One tenant's rule is not awakened by a score that all tenants' rules ask for."""
    texts = [f"score.a >= 0.5 && request.tenant == 't{at}'" for at in range(30)]

    assert awake(texts, score_a=0.9, request_tenant="t7") == {texts[7]}


def test_an_error_of_one_that_is_awake_is_none_for_all() -> None:
    """What cannot be evaluated is found where it is awake, and is a no where it sleeps."""
    texts = ["fact.c && 1 / int(score.a) > 0", *["fact.d && score.b > 0.5"] * 30]
    index = Index([CONDITIONS.compile(text) for text in texts], CONDITIONS.together)

    def holding(values: Values) -> list[int] | None:
        return index.holding(values, CONDITIONS.activation(values))

    assert holding(REST) == []
    assert holding(REST | {"fact.c": True}) is None
    assert holding(REST | {"fact.c": True, "score.a": 1.0}) == [0]
