"""Two decisions side by side: what counts as a change, and how changes are told."""

import pytest

from safegen.nouns import Context, Scores
from safegen.policy import Policy
from safegen.policy.compare import Comparison, Pair, compare, decided

HEAD = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1"}
lists: {hat: {kind: fact, terms: [hat]}, sun: {kind: score, terms: [sun]}}
"""
STEER = "steer: [{concept: a, stop: 0.7}]"
FAIR = "fair: {attribute: g, target: {w: 0.5, m: 0.5}}"
DRAWN = "g quota (w 0.5, m 0.5) x1 from 0% to 100%"


def policy(then: str, more: str = "") -> Policy:
    """A policy that does something about hats."""
    return Policy(HEAD + f"rules: [{{id: hat, when: fact.hat{more}, then: {{{then}}}}}]\n")


def compared(old: Policy, new: Policy, prompts: tuple[str, ...] = ("a hat",)) -> Comparison:
    """What changes for some prompts."""
    context = Context(images=3)

    def pair(prompt: str) -> Pair:
        scores = old.classify([prompt])[0]
        gists = (decided(each, scores, context) for each in (old, new))
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
        (
            STEER,
            STEER.replace("stop: 0.7", "stop: 0.704"),
            ("steering", "a x1 from 0% to 70%", "a x1 from 0% to 70.4%"),
        ),
        (
            FAIR,
            FAIR.replace("m: 0.5}", "m: 0.5}, gate: projection"),
            ("steering", DRAWN, f"{DRAWN} projection"),
        ),
        (
            FAIR,
            FAIR.replace("m: 0.5}", "m: 0.5}, schedule: bell"),
            ("steering", DRAWN, f"{DRAWN} bell"),
        ),
        (
            FAIR,
            FAIR.replace("m: 0.5}", "m: 0.5}, follow: sun"),
            ("steering", DRAWN, f"{DRAWN}, following sun"),
        ),
        (
            f"steer: [{{concept: w, strength: 2}}], {FAIR}",
            f"steer: [{{concept: w, strength: -2}}], {FAIR}",
            ("steering", "w x2 from 0% to 100%", "w x-2 from 0% to 100%"),
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


def test_strengths_that_follow_a_score_are_one_line() -> None:
    """A steer is told as its rule gives it, whatever comes of it for the scores of a request."""
    old, new = (policy(f"steer: [{{concept: a, strength: {s}, follow: sun}}]") for s in (1.5, 1.6))
    given = [Scores(values={"sun": sun}, facts={"hat": True}) for sun in (0.2, 0.7, 1.0)]
    context = Context()
    pairs = (
        Pair("", "grid", context, each, *(decided(p, each, context) for p in (old, new)))
        for each in given
    )
    (change,) = compare("old", "new", pairs).changes

    assert (change.before, change.after, change.count) == (
        "a x1.5 from 0% to 100%, following sun",
        "a x1.6 from 0% to 100%, following sun",
        3,
    )


def test_one_rule_about_two_scores_is_told_by_what_comes_of_it() -> None:
    """Two policies may follow a score alike and score a prompt otherwise."""
    same = policy("steer: [{concept: a, follow: sun}]")
    given = [Scores(values={"sun": sun}, facts={"hat": True}) for sun in (0.5, 1.0)]
    gists = (decided(same, each, Context()) for each in given)
    (change,) = compare("old", "new", [Pair("", "tests", Context(), given[0], *gists)]).changes

    assert (change.before, change.after) == ("a x0.5 from 0% to 100%", "a x1 from 0% to 100%")


def test_a_rule_that_follows_nothing_is_told_where_it_is_as_strong() -> None:
    """Of two rules for one concept, the one that is heard is told."""
    both = policy("steer: [{concept: a, follow: sun}, {concept: a, strength: 0.9}]")
    told = [
        decided(both, Scores(values={"sun": sun}, facts={"hat": True}), Context()).steering[0].words
        for sun in (0.5, 0.9, 1.0)
    ]

    assert told == [*["a x0.9 from 0% to 100%"] * 2, "a x1 from 0% to 100%, following sun"]


def test_errors_are_told_without_what_they_quote_of_a_request() -> None:
    """So that requests with many regions are one line."""
    closed = Policy(HEAD + "context: {region: {values: [eu]}}\nrules: [{id: a, when: 'true', "
                    "then: {review: {reason: a}}}]")  # fmt: skip
    told = {decided(closed, Scores(), Context(region=each)).outcome for each in ("us", "it's")}

    assert told == {("error: the policy does not know the region …; it knows eu",)}


def test_draws_are_no_change() -> None:
    """The same rule draws other values under another digest; that is no change."""
    found = compared(policy(FAIR), policy(FAIR, " "))

    assert policy(FAIR).digest != policy(FAIR, " ").digest
    assert (found.compared, found.changed) == ({"prompts": 1}, {})


def test_a_steer_of_a_concept_that_may_be_drawn_is_compared() -> None:
    """Another rule's steer is no draw, whatever the draws of that request."""
    rules = (
        "rules:\n"
        f"  - {{id: fair, when: fact.hat, then: {{{FAIR}}}}}\n"
        "  - {id: sun, when: score.sun > 0.5, then: {steer: [{concept: w, strength: 2.0}]}}\n"
    )
    changed = rules.replace("2.0", "-10.0")
    found = compared(Policy(HEAD + rules), Policy(HEAD + changed), ("a hat", "sun", "a hat, sun"))

    assert [(each.before, each.after, each.count) for each in found.changes] == [
        ("w x2 from 0% to 100%", "w x-10 from 0% to 100%", 2)
    ]


def test_what_a_rung_adds_is_compared() -> None:
    """With its window, as a steer is."""
    added = "ladder: [{action: regenerate, add: [{concept: a, strength: 2}]}]\n"
    old, new = (
        Policy(f"{HEAD}rules: [{{id: hat, when: fact.hat, then: {{{STEER}}}}}]\n{ladder}")
        for ladder in (added, added.replace("2}", "2, stop: 0.5}"))
    )
    (change,) = compared(old, new).changes

    assert change.about == "ladder"
    assert change.before.endswith("a x2 from 0% to 100%")
    assert change.after.endswith("a x2 from 0% to 50%")


def test_the_order_of_draws_is_no_change() -> None:
    """Two attributes are drawn, whichever rule stands first."""
    one, other = "{id: a, when: fact.hat, then: {FAIR}}", "{id: b, when: fact.hat, then: {TONE}}"
    tone = FAIR.replace("attribute: g", "attribute: t")
    old, new = (
        Policy(f"{HEAD}rules: [{first}, {second}]\n".replace("FAIR", FAIR).replace("TONE", tone))
        for first, second in ((one, other), (other, one))
    )

    assert compared(old, new).changed == {}


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
    failed = decided(strict, Scores(), Context())

    assert failed.outcome[0].startswith("error: the policy 'x' needs fact.hat")
