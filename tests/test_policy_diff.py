"""What flips between two policies."""

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
