"""What flips between two policies."""

import pytest

from safegen.policy import Policy
from safegen.policy.diff import diff
from safegen.policy.load import find_policy

POLICY = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1"}
lists:
  hat: {kind: score, terms: [hat]}
  cap: {kind: fact, terms: [cap]}
rules:
  - {id: hat, when: score.hat >= 0.5, then: {block: {reason: hat}}}
  - {id: cap, when: "fact.cap && request.region == 'eu'", then: {review: {reason: cap}}}
tests: [{prompt: a hat, expect: blocked}]
"""


def test_a_policy_does_not_differ_from_itself() -> None:
    """Nor from the same rules in another order of lists or with other comments."""
    twin = Policy(f"# a comment\n{POLICY}")

    assert diff(Policy(POLICY), twin, ["a hat", "a cat"]).changed == {}
    assert diff(Policy(POLICY), twin).compared.keys() == {"tests", "grid"}


def test_a_moved_threshold_is_seen_on_the_grid() -> None:
    """Words score 0 or 1, so only the grid lies between the old threshold and the new."""
    found = diff(Policy(POLICY), Policy(POLICY.replace("0.5", "0.8")))
    flips = {(change.before, change.after) for change in found.changes}
    examples = [example for change in found.changes for example in change.examples]

    assert found.changed.keys() == {"grid"}
    assert flips == {("blocked: hat", "allowed"), ("blocked: hat", "review: cap")}
    assert all(0.5 <= example.scores["hat"] < 0.8 for example in examples)


def test_changed_words_are_seen_in_prompts() -> None:
    """Each policy reads the prompts with its own lists; the grid knows no words."""
    found = diff(Policy(POLICY), Policy(POLICY.replace("[hat]", "[beret]")), ["a beret", "a cap"])

    assert found.changed == {"tests": 1, "prompts": 1}
    assert [(c.before, c.after) for c in found.changes] == [
        ("blocked: hat", "allowed"),
        ("allowed", "blocked: hat"),
    ]


def test_the_request_counts() -> None:
    """Conditions on the request are tried at the texts that they name."""
    found = diff(Policy(POLICY), Policy(POLICY.replace("'eu'", "'uk'")))

    assert {change.examples[0].context.region for change in found.changes} == {"eu", "uk"}


def test_policies_with_other_variables() -> None:
    """A rule about something that the other policy does not know is a difference like any other."""
    more = POLICY.replace("  hat: {", "  tie: {kind: fact, terms: [tie]}\n  hat: {").replace(
        "tests:", "  - {id: tie, when: fact.tie, then: {steer: [{concept: a}]}}\ntests:"
    )
    found = diff(Policy(POLICY), Policy(more))

    assert ("allowed", "steered") in {(c.before, c.after) for c in found.changes}


def test_the_same_each_time() -> None:
    """The grid's sample is fixed: two runs agree to the last example."""
    old, new = Policy.load("default"), Policy(find_policy("default")[0].replace(">= 0.5", ">= 0.6"))

    assert diff(old, new) == diff(old, new)


def test_a_changed_priority_is_seen() -> None:
    """Where another rule is heard first, another reason is given, and that is a difference."""
    both = POLICY.replace("review: {reason: cap}", "block: {reason: cap}")
    found = diff(Policy(both), Policy(both.replace("id: cap", "id: cap, priority: 1")))

    assert {(change.before, change.after) for change in found.changes} == {
        ("blocked: hat", "blocked: cap")
    }


def policy(when: str) -> Policy:
    """The policy with another condition about hats."""
    quoted = when.replace("\\", "\\\\")
    return Policy(POLICY.replace("score.hat >= 0.5", f'"{quoted}"'))


def changed(old: str, new: str) -> set[tuple[str, str]]:
    """What becomes what, if the condition about hats is another one."""
    found = diff(policy(old), policy(new))
    return {(change.before, change.after) for change in found.changes}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("score.hat >= .6", "score.hat >= .9"),
        ("score.hat > 6e-1", "score.hat > 9e-1"),
        ("score.hat <= 0.6", "score.hat < 0.6000001"),
        ("!(score.hat < 0.5)", "!(score.hat < 0.7)"),
        ("score.hat >= 0.5 ? true : false", "score.hat >= 0.7 ? true : false"),
        ("-score.hat <= -0.5", "-score.hat <= -0.7"),
        ("score.hat == 1.0", "score.hat == 0.0"),
        ("request.region in ['eu', 'uk']", "request.region in ['uk']"),
        ("request.region in ['it\\'s']", "request.region == r'it'"),
        ("score.hat + score.hat >= 1.5", "score.hat + score.hat >= 1.3"),
    ],
)
def test_flips_are_seen_however_a_condition_is_written(old: str, new: str) -> None:
    """A rule is tried at the values of both policies, and between them."""
    assert changed(old, new) & {("blocked: hat", "allowed"), ("allowed", "blocked: hat")}
    assert changed(old, old) == set()


def test_many_other_rules_hide_no_flip() -> None:
    """What lies between the thresholds of the two policies is tried for the rule alone."""
    names = ("cap", "negated_cap", "tie", "negated_tie", "negated_hat")
    facts = " && ".join(f"fact.{name}" for name in names)
    more = "".join(
        f"  - {{id: n{i}, when: score.hat == 0.8{i:02}, then: {{steer: [{{concept: c}}]}}}}\n"
        for i in range(30)
    )
    old = (
        POLICY.replace("lists:", "lists:\n  tie: {kind: fact, terms: [tie]}")
        .replace("score.hat >= 0.5", f"score.hat <= 0.6 && {facts}")
        .replace("tests:", f"{more}tests:")
    )
    found = diff(Policy(old), Policy(old.replace("<= 0.6", "< 0.6000001")))

    assert ("allowed", "blocked: hat") in {(each.before, each.after) for each in found.changes}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("score.hat >= 0.5", "score.hat >= 0.7", ()),
        ("score.hat >= 0.5", "score.hat + 0.1 >= 0.5", ("hat",)),
        ("request.region > 'e'", "request.region > 'f'", ("hat",)),
        ("score.hat + 0.1 >= 0.5", "score.hat + 0.1 >= 0.5", ()),
        (
            "score.hat > 0.5",
            " || ".join(f"score.hat == 0.{digits}" for digits in range(100, 250)),
            ("hat",),
        ),
    ],
)
def test_rules_that_are_only_sampled_are_named(
    old: str, new: str, expected: tuple[str, ...]
) -> None:
    """Where a changed rule calculates, or has too many values, no flip is no proof."""
    found = diff(policy(old), policy(new))

    assert found.unsure == expected


def test_what_no_decision_shows_is_told() -> None:
    """How detectors are used and what the ledger keeps changes no decision, and is a change."""
    band = "detectors: {b: {when: {detector: a, label: a, between: [0.1, 0.3]}}}\n"
    old = Policy(POLICY + band)
    new = Policy(POLICY + band.replace("0.1", "0.2") + "record: {prompt: plain}\n")
    found = diff(old, new)

    assert (found.changed, found.changes) == ({}, ())
    assert [(each.name, each.before, each.after) for each in found.settings] == [
        ("detectors.b.when.between", "0.1, 0.3", "0.2, 0.3"),
        ("record.prompt", "hmac", "plain"),
    ]
