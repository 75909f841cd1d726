"""Two decisions side by side: what counts as a change, and how changes are told."""

from functools import partial

import pytest

from safegen.nouns import Context, Scores
from safegen.policy import Policy
from safegen.policy.compare import Comparison, Pair, compare, decided, drawn_concepts

HEAD = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1"}
lists: {hat: {kind: fact, terms: [hat]}}
"""
STEER = "steer: [{concept: a, stop: 0.7}]"
FAIR = "fair: {attribute: g, target: {w: 0.5, m: 0.5}}"


def policy(then: str, more: str = "") -> Policy:
    """A policy that does something about hats."""
    return Policy(HEAD + f"rules: [{{id: hat, when: fact.hat{more}, then: {{{then}}}}}]\n")


def compared(old: Policy, new: Policy, prompts: tuple[str, ...] = ("a hat",)) -> Comparison:
    """What changes for some prompts."""
    apart = drawn_concepts(old) | drawn_concepts(new)
    context = Context(images=3)

    def pair(prompt: str) -> Pair:
        scores = old.classify([prompt])[0]
        gists = (decided(partial(each.decide, scores, context), apart, each) for each in (old, new))
        return Pair(prompt, "prompts", context, scores, *gists)

    return compare("old", "new", map(pair, prompts))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (STEER, "block: {reason: hat}", ("outcome", "steered", "blocked: hat")),
        ("block: {reason: a}", "block: {reason: b}", ("outcome", "blocked: a", "blocked: b")),
        (
            STEER,
            "steer: [{concept: b}]",
            ("steering", "a x1 from 0% to 70%", "b x1 from 0%"),
        ),
        (
            FAIR,
            FAIR.replace("w: 0.5, m: 0.5", "w: 0.6, m: 0.4"),
            ("steering", "g quota (w 0.5, m 0.5) x1 from 0% to 100%", "g quota (w 0.6, m 0.4) x1"),
        ),
        (
            FAIR,
            FAIR.replace("m: 0.5}", "m: 0.5}, strengths: {m: 1.2}"),
            (
                "steering",
                "g quota (w 0.5, m 0.5) x1 from 0% to 100%",
                "g quota (w 0.5, m 0.5) x1, m x1.2 from",
            ),
        ),
        (STEER, STEER + ", negative_prompt: no", ("negative prompt", "nothing", "no")),
        (
            STEER,
            STEER + ", check: [{detector: clip, label: x, threshold: 0.5}]",
            ("checks", "nothing", "clip/x from 0.5"),
        ),
    ],
)
def test_what_changes(old: str, new: str, expected: tuple[str, str, str]) -> None:
    """The gravest difference is told: what only the one had, and what only the other has."""
    (change,) = compared(policy(old), policy(new)).changes

    assert (change.about, change.before) == expected[:2]
    assert change.after.startswith(expected[2])
    assert change.examples[0].name == "a hat"
    assert change.examples[0].facts == ("hat",)


def test_draws_are_no_change() -> None:
    """The same rule draws other values under another digest; that is no change."""
    found = compared(policy(FAIR), policy(FAIR, " "))

    assert policy(FAIR).digest != policy(FAIR, " ").digest
    assert (found.compared, found.changed) == ({"prompts": 1}, {})


def test_changes_are_counted() -> None:
    """Alike changes are one line, with a few examples; the gravest stand first."""
    old = Policy(HEAD + "rules: [{id: a, when: fact.hat, then: {block: {reason: a}}}]")
    new = Policy(HEAD + "rules: [{id: b, when: 'true', then: {steer: [{concept: x}]}}]")
    found = compared(old, new, ("a hat", "a", "b", "c", "d", "e"))

    assert [(c.before, c.after, c.count, len(c.examples)) for c in found.changes] == [
        ("allowed", "steered", 5, 3),
        ("blocked: a", "steered", 1, 1),
    ]
    assert found.changed == {"prompts": 6}


def test_shadow_rules_are_told_as_such() -> None:
    """A rule that becomes a shadow changes the outcome; one that fires as a shadow is named so."""
    shadow = Policy(
        HEAD + "rules: [{id: h, when: fact.hat, enforce: shadow, then: {block: {reason: h}}}]"
    )
    nothing = Policy(HEAD + "rules: [{id: h, when: 'false', then: {block: {reason: h}}}]")
    (change,) = compared(shadow, nothing).changes

    assert (change.about, change.before, change.after) == ("rules", "h (would_block)", "nothing")


def test_an_error_is_an_outcome() -> None:
    """A request that could not be decided would end as an error."""
    strict = policy(STEER)
    failed = decided(partial(strict.decide, Scores(), Context()), frozenset(), strict)

    assert failed.outcome[0].startswith("error: the policy 'x' needs fact.hat")
