"""A candidate policy over what was recorded."""

import itertools
from collections.abc import Sequence

import pytest

from safegen.errors import ClassifierError
from safegen.nouns import Context, ImageRecord, Outcome, Record, Scores
from safegen.policy import Policy
from safegen.policy.compare import Comparison
from safegen.policy.replay import Tally, replay

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
    """What was not recorded is neither harmless nor a change: nobody can tell."""
    bare = RECORDS[2].model_copy(update={"scores": Scores(values={"hat": 0.0})})
    found = replay([bare], OLD)

    assert (found.comparison.compared, found.comparison.changes) == ({}, ())
    assert found.untold == Tally(records=1, names={"fact.job": 1})
    with pytest.raises(ClassifierError, match=r"needs fact\.job"):  # as a request would end
        OLD.decide(bare.scores, bare.context)


PETS = POLICY.replace("lists:\n", "lists:\n  pets: {kind: fact, terms: [hamster]}\n")


@pytest.mark.parametrize(
    ("condition", "then", "untold"),
    [
        ("request.tenant == 'zoo' && fact.pets", "review: {reason: pets}", []),
        ("fact.pets || score.hat < 0.5", "review: {reason: pets}", []),
        ("fact.pets && fact.job", "review: {reason: pets}", ["2"]),
        ("fact.pets", "review: {reason: pets}", ["2", "3"]),
        ("fact.pets", "block: {reason: hat}", ["2", "3"]),
        ("fact.pets ? score.hat < 0.5 : false", "review: {reason: pets}", ["2", "3"]),
        ("fact.pets", "steer: [{concept: c}]", ["2", "3"]),
        ("fact.pets", "block: {reason: other}", ["1", "2", "3"]),
    ],
)
def test_a_new_list_is_told_apart_where_it_may_matter(
    condition: str, then: str, untold: list[str]
) -> None:
    """A rule that sleeps or fires in any case, or that a graver one outdoes, is decided."""
    rule = f'  - {{id: pets, when: "{condition}", priority: 1, then: {{{then}}}}}\n'
    candidate = Policy(PETS + rule)
    left_out = [each.id for each in RECORDS if replay([each], candidate).untold.records]

    assert left_out == untold
    assert replay(RECORDS, candidate).untold.names == ({"fact.pets": len(untold)} if untold else {})


RULES = """\
  - {id: a, when: "fact.a && (score.x >= 0.5 || fact.b)", then: {block: {reason: a}}}
  - {id: b, when: "fact.b || !fact.c", then: {review: {reason: b}}}
  - {id: c, when: "fact.c && score.x < 0.5", priority: 1, then: {block: {reason: c}}}
  - {id: d, when: "fact.a != fact.c", then: {steer: [{concept: c, strength: 2.0}]}}
  - {id: e, when: "score.x >= 0.5", then: {steer: [{concept: c, follow: x}]}}
  - {id: f, when: fact.b, enforce: shadow, then: {block: {reason: f}}}
"""
MANY = Policy(
    'apiVersion: safegen/v1\nmetadata: {name: many, version: "1"}\nlists:\n'
    + "".join(f"  {name}: {{kind: fact, terms: [{name}{name}]}}\n" for name in "abc")
    + "  x: {kind: score, terms: [xx]}\n"
    + f"rules:\n{RULES}"
)


@pytest.mark.parametrize("missing", ["a", "b", "c", "x", "ab", "bx", "abcx"])
def test_what_is_told_holds_whatever_is_missing(missing: str) -> None:
    """A record of which nothing is said but that it changes, or does not, does so in every case."""
    told = 0
    for a, b, c, x, before in itertools.product(*[[False, True]] * 4, ["a cat", "a hat"]):
        known = {"facts": {"a": a, "b": b, "c": c}, "values": {"x": 0.4 + 0.5 * x}}
        kept = {
            kind: {name: value for name, value in each.items() if name not in missing}
            for kind, each in known.items()
        }
        bare = record(before, "1").model_copy(update={"scores": Scores.model_validate(kept)})
        found = replay([bare], MANY)
        if found.untold.records:
            continue
        told += 1
        whole = bare.model_copy(update={"scores": Scores.model_validate(known)})
        really = replay([whole], MANY).comparison

        def kinds(comparison: Comparison) -> list[tuple[str, str, str]]:
            # Which unsure rules fired is not told.
            graver = [each for each in comparison.changes if each.about != "rules"]
            return [(each.about, each.before, each.after) for each in graver]

        assert kinds(found.comparison) == kinds(really)
    assert (told == 0) == (missing == "abcx")


FOLLOW = "steer: [{concept: c, strength: 1.5, follow: sun}]"


def test_a_score_that_is_followed_and_was_not_recorded() -> None:
    """How strongly the candidate would steer is not known, unless the request stops anyway."""
    candidate = Policy(
        POLICY.replace("lists:\n", "lists:\n  sun: {kind: score, terms: [sun]}\n")
        + f"  - {{id: sun, when: 'true', then: {{{FOLLOW}}}}}\n"
    )
    found = replay(RECORDS, candidate)

    assert found.comparison.compared == {"records": 1}
    assert found.untold == Tally(records=2, names={"score.sun": 2})


def test_recorded_strengths_are_one_line() -> None:
    """From the least to the greatest; what the candidate gives is told as its rule does."""
    old = Policy(POLICY.replace("block: {reason: hat}", FOLLOW.replace("sun", "hat")))
    new = Policy(
        POLICY.replace("block: {reason: hat}", FOLLOW.replace("sun", "hat").replace("5", "6"))
    )
    records = [
        record("a hat", "1", old).model_copy(update={"scores": scores, "decision": decision})
        for hat in (0.6, 1.0, 0.8)
        for scores in [Scores(values={"hat": hat}, facts={"job": False})]
        for decision in [old.decide(scores, Context(images=3))]
    ]
    (change,) = replay(records, new).comparison.changes

    assert (change.before, change.after, change.count) == (
        "c x0.9 to x1.5 from 0% to 100%",
        "c x1.6 from 0% to 100%, following hat",
        3,
    )
    assert replay(records, old).comparison.changes == ()


def test_other_lists_of_the_same_name_are_told() -> None:
    """The digest of what scored is recorded; what it would say now is not known."""
    assert replay(RECORDS, Policy(POLICY + "# again\n")).rescored == Tally()
    more = replay(RECORDS, Policy(POLICY.replace("[hat]", "[hat, cap]")))
    assert more.comparison.changed == {}
    assert more.rescored == Tally(records=3, names={"fact.job": 3, "score.hat": 3})
    # A new list of a file of its own scores nothing of what was recorded.
    added = 'apiVersion: safegen/v1\nmetadata: {name: y, version: "1"}\nimports: [base]\n'
    candidate = Policy(
        added + "lists: {pets: {kind: fact, terms: [hamster]}}\n"
        "rules: [{id: pets, when: fact.pets, then: {review: {reason: pets}}}]\n",
        fetch=lambda name, _: (POLICY, name),
    )
    assert replay(RECORDS, candidate).rescored == Tally()
    assert replay(RECORDS, candidate).untold.names == {"fact.pets": 2}


def test_a_classifier_that_is_gone_is_told() -> None:
    """A score that another classifier gave than any of the candidate's is another's."""

    def head(prompts: Sequence[str]) -> list[Scores]:
        return [Scores(values={"hat": 0.9}) for _ in prompts]

    made = record("a cat", "1", Policy(POLICY, classifiers=[head]))

    assert replay([made], OLD).rescored == Tally(records=1, names={"score.hat": 1})
    assert replay([made], Policy(POLICY, classifiers=[head])).rescored == Tally()


@pytest.mark.parametrize(
    ("target", "mode", "possible"),
    [
        ("w: 0.5, m: 0.5", "quota", {2}),
        ("w: 0.95, m: 0.05", "quota", {3, 4}),
        ("w: 0.8, m: 0.1, n: 0.1", "quota", {3, 4}),
        ("w: 0.95, m: 0.05", "random", {0, 1, 2, 3, 4}),
    ],
)
def test_draws_that_a_quota_cannot_make(target: str, mode: str, possible: set[int]) -> None:
    """Drawn one by one, any number of four images may be women; by a quota it may not."""
    fair = "{w: 0.5, m: 0.5}"
    old = Policy(POLICY.replace(fair, f"{fair}, mode: random"))
    records = {}
    for seed in range(100):
        context = Context(images=4, seed=seed)
        decision = old.decide(RECORDS[1].scores, context)
        women = sum(image[0].concept == "w" for image in decision.interventions)
        records[women] = RECORDS[1].model_copy(update={"context": context, "decision": decision})
    assert records.keys() == {0, 1, 2, 3, 4}
    candidate = Policy(POLICY.replace(fair, f"{{{target}}}, mode: {mode}"))

    for women, each in records.items():
        found = replay([each], candidate)
        assert (found.comparison.changed == {}) == (women in possible)
        assert found.redrawn.records == (women in possible)
    assert replay(records.values(), candidate).redrawn.names == {
        f"g {mode} ({target.replace(': ', ' ')}) x1 from 0% to 100%": len(possible)
    }


def test_the_same_policy_draws_as_it_drew() -> None:
    """Nothing is said of its target and mode, which are known."""
    assert replay(RECORDS, OLD).redrawn == Tally()


def test_what_was_bypassed_or_failed_is_told() -> None:
    """A bypassed request had no decision in force, nor will it; of a failed one, it is compared."""
    candidate = Policy(POLICY.replace("block: {reason: hat}", "steer: [{concept: c}]"))
    bypassed = RECORDS[0].model_copy(update={"outcome": Outcome.BYPASSED})
    withheld = RECORDS[0].model_copy(
        update={
            "outcome": Outcome.BLOCKED,
            "images": tuple(
                ImageRecord(seed=0, outcome=each) for each in (Outcome.BLOCKED, Outcome.BYPASSED)
            ),
        }
    )
    failed = RECORDS[0].model_copy(update={"outcome": Outcome.ERROR})
    found = replay([bypassed, withheld, failed, RECORDS[2]], candidate)

    assert (found.bypassed, found.failed) == (2, 1)
    assert found.comparison.compared == {"records": 2}
    assert found.comparison.changed == {"records": 1}


REGION = POLICY.replace("score.hat >= 0.5", "score.hat >= 0.5 && request.region == 'DE'")


@pytest.mark.parametrize(
    ("declared", "recorded", "before", "untold"),
    [
        ("", "de", "allowed", True),
        ("", "us", "allowed", False),
        ("", "DE", "blocked: hat", False),
        ("context: {region: {values: [DE], others: allow}}\n", "de", "blocked: hat", False),
    ],
)
def test_a_text_that_another_policy_spelled(
    declared: str, recorded: str, before: str, untold: bool
) -> None:
    """What differs in capitals alone may have been given so, unless the candidate declares it."""
    candidate = Policy(REGION + declared)
    made = record("a hat", "1").model_copy(update={"context": Context(region=recorded)})
    found = replay([made], candidate)

    assert found.untold.records == untold
    assert list(found.untold.names) == ["request.region as it was written"] * untold
    assert [change.after for change in found.comparison.changes] == (
        ["allowed"] if before == "allowed" and not untold else []
    )
    own = made.model_copy(update={"decision": candidate.decide(made.scores, made.context)})
    assert replay([own], candidate).comparison.compared == {"records": 1}
