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


STEERS = POLICY.replace("block: {reason: hat}", "steer: [{concept: w, strength: 2.0}]")


@pytest.mark.parametrize(
    ("prompt", "new", "before", "after"),
    [
        ("a hat", "-10.0", "w x2 from 0% to 100%", "w x-10 from 0% to 100%"),
        ("a nurse in a hat", "-10.0", "w x2 from 0% to 100%", "w x-10 from 0% to 100%"),
        ("a nurse", "-10.0", None, None),
        ("a nurse in a hat", "2.0", None, None),
    ],
)
def test_steers_of_concepts_that_may_be_drawn(
    prompt: str, new: str, before: str | None, after: str | None
) -> None:
    """Only what the candidate could have drawn as it was recorded is no change."""
    policy = Policy(STEERS)
    candidate = Policy(STEERS.replace("2.0", new) + "# another digest\n")
    changes = replay([record(prompt, "1", policy)], candidate).comparison.changes

    assert len(changes) == (before is not None)
    for change in changes:
        assert change.about == "steering"
        assert before in change.before.split(", ")
        assert after in change.after.split(", ")


@pytest.mark.parametrize(
    "more", ["strength: 1.2", "gate: projection", "schedule: bell", "follow: hat", "stop: 0.5"]
)
def test_another_way_to_draw_is_told(more: str) -> None:
    """How strongly, when and where a drawn concept acts is recorded, and so is compared."""
    candidate = Policy(POLICY.replace("m: 0.5}}", f"m: 0.5}}, {more}}}"))
    (change,) = replay(RECORDS, candidate).comparison.changes

    assert (change.about, change.count) == ("steering", 1)
    assert change.before == "m x1 from 0% to 100%, w x1 from 0% to 100%"
    assert change.after.startswith("g quota (w 0.5, m 0.5) ")


def test_a_draw_that_was_not_made_is_told() -> None:
    """Where the recorded request was steered and nothing drawn, a draw is a difference."""
    steered = POLICY.replace(
        "fair: {attribute: g, target: {w: 0.5, m: 0.5}}", "steer: [{concept: a}]"
    )
    candidate = Policy(
        steered.replace("steer: [{", "fair: {attribute: g, target: {w: 0.5, m: 0.5}}, steer: [{")
    )
    (change,) = replay([record("a nurse", "1", Policy(steered))], candidate).comparison.changes

    assert (change.before, change.after) == ("nothing", "g quota (w 0.5, m 0.5) x1 from 0% to 100%")


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
