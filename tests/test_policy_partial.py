"""What a policy may decide where not all is known that it looks at."""

import pytest

from safegen.errors import PolicyError
from safegen.nouns import Context, Scores
from safegen.policy import Policy
from safegen.policy.partial import Partial, Possible

HEAD = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1"}
lists: {hat: {kind: fact, terms: [hat]}, sun: {kind: score, terms: [sun]}}
rules:
"""
HAT = "  - {id: hat, when: fact.hat, then: {block: {reason: hat}}}\n"
SUN = "  - {id: sun, when: score.sun >= 0.5, then: {steer: [{concept: a, follow: sun}]}}\n"
SPELLED = "  - {id: de, when: \"request.region == 'DE'\", then: {review: {reason: de}}}\n"


def decisions(
    rules: str, scores: Scores, region: str = "", *, given: bool = False
) -> list[Possible]:
    """What may be decided by a policy of these rules."""
    partial = Partial(Policy(HEAD + rules))
    return list(partial.decisions(scores, Context(region=region), given=given))


def outcomes(found: list[Possible]) -> list[tuple[set[str], str | None]]:
    """What each lacks, and comes to."""
    return [({*each.lacking}, each.decision and each.decision.outcome) for each in found]


def test_what_is_known_is_decided_alone() -> None:
    """Nothing is missing: there is one decision, that of the policy."""
    scores = Scores(values={"sun": 0.7}, facts={"hat": False})
    (only,) = decisions(HAT + SUN, scores)

    assert only.decision is not None
    assert (
        only.decision.interventions
        == Policy(HEAD + HAT + SUN).decide(scores, Context()).interventions
    )
    assert (only.lacking, only.unsure, only.scores) == (frozenset(), frozenset(), scores)


def test_each_unsure_rule_is_supposed_to_fire_once() -> None:
    """First what is certain; how strong a steer is that follows what is missing, nobody knows."""
    found = decisions(HAT + SUN, Scores())

    assert outcomes(found) == [
        (set(), "allowed"),
        ({"fact.hat"}, "blocked"),
        ({"score.sun"}, "steered"),
        ({"score.sun"}, None),
    ]
    assert {each.unsure for each in found} == {frozenset({"hat", "sun"})}


def test_a_text_may_have_been_written_as_a_rule_compares_it() -> None:
    """Another policy may have spelled it; unless it is known to be as it was given."""
    assert outcomes(decisions(SPELLED, Scores(), "de")) == [
        (set(), "allowed"),
        ({"request.region as it was written"}, "review"),
    ]
    assert outcomes(decisions(SPELLED, Scores(), "de", given=True)) == [(set(), "allowed")]
    assert outcomes(decisions(SPELLED, Scores(), "us")) == [(set(), "allowed")]


def test_a_condition_that_cannot_be_evaluated_is_an_error() -> None:
    """What goes wrong in any case is an error; what may go wrong is not told."""
    wrong = '  - {id: r, when: "1 / size(request.region) > 0", then: {review: {reason: r}}}\n'
    with pytest.raises(PolicyError, match="cannot be evaluated"):
        decisions(wrong + HAT, Scores())
    rule = wrong.replace("size(request.region)", "(request.region == 'DE' ? 0 : 1)")

    assert outcomes(decisions(rule, Scores(), "de")) == [
        (set(), "review"),
        ({"request.region as it was written"}, None),
    ]
