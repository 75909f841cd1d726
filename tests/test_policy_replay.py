"""A candidate policy over what was recorded."""

import pytest

from safegen.nouns import Context, Outcome, Record, Scores
from safegen.policy import Policy
from safegen.policy.replay import replay

POLICY = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1"}
lists:
  hat: {kind: score, terms: [hat]}
  job: {kind: fact, terms: [nurse]}
rules:
  - {id: hat, when: score.hat >= 0.5, then: {block: {reason: hat}}}
  - {id: fair, when: fact.job, then: {fair: {attribute: g, target: {w: 0.5, m: 0.5}}}}
"""
OLD = Policy(POLICY)


def record(prompt: str, name: str, policy: Policy = OLD) -> Record:
    """What the ledger keeps of a request: no prompt."""
    scores, decision = policy.assess(prompt, Context(images=3, seed=5))
    return Record(
        id=name,
        time="2026-01-01T00:00:00Z",
        outcome=decision.outcome,
        prompt_commitment="",
        context=Context(images=3, seed=5),
        scores=scores,
        decision=decision,
        safegen="0",
    )


RECORDS = [record("a hat", "1"), record("a nurse", "2"), record("a cat", "3")]


def test_the_same_policy_changes_nothing() -> None:
    """Deciding is pure, so every record comes out as it did."""
    found = replay(RECORDS, OLD)

    assert (found.comparison.compared, found.comparison.changed) == ({"records": 3}, {})
    assert found.policies == {f"x ({OLD.digest})": 3}


def test_changes_are_told_with_the_records() -> None:
    """What would have come out differently, with the id, scores and rules of examples."""
    candidate = Policy(POLICY.replace("block: {reason: hat}", "steer: [{concept: c}]"))
    (change,) = replay(RECORDS, candidate).comparison.changes
    (example,) = change.examples

    assert (change.before, change.after, change.count) == ("blocked: hat", "steered", 1)
    assert (example.name, example.scores, example.rules_after) == ("1", {"hat": 1.0}, ("hat",))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("fact.job", "fact.job && true", []),
        ("fact.job", "'false'", ["2"]),
        ("fact.job", "fact.job || score.hat < 0.5", ["3"]),
    ],
)
def test_draws_are_not_compared(old: str, new: str, expected: list[str]) -> None:
    """Another policy draws other values, which is no change; whether it draws at all is."""
    changes = replay(RECORDS, Policy(POLICY.replace(old, new))).comparison.changes

    assert [example.name for change in changes for example in change.examples] == expected


def test_records_without_a_decision_are_left_out() -> None:
    """A request that failed before it was decided has nothing to compare, and is counted."""
    failed = RECORDS[0].model_copy(update={"decision": None, "outcome": Outcome.ERROR})

    assert replay([failed, RECORDS[1]], OLD).undecided == 1
    assert replay([failed, RECORDS[1]], OLD).comparison.compared == {"records": 1}


def test_a_candidate_that_needs_more_than_was_recorded() -> None:
    """Scores that were not recorded count as an error, never as harmless."""
    bare = RECORDS[2].model_copy(update={"scores": Scores(values={"hat": 0.0})})
    (change,) = replay([bare], OLD).comparison.changes

    assert change.before == "allowed"
    assert change.after == "error: the policy 'x' needs fact.job, but no classifier gave it"
