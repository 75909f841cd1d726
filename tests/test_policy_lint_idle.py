"""What cannot do what it seems to say is told: words, tests, strengths, checks."""

from collections.abc import Sequence

import pytest

from safegen.nouns import Scores
from safegen.policy import Policy
from safegen.policy.lint import lint

POLICY = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1", owner: us}
lists:
  a: {kind: score, terms: [aaa, s/m, f*ck, 'x, y', 24/7], rules_out: [unaaa]}
rules:
  - {id: one, when: score.a >= 0.5, then: {steer: [{concept: c}]}}
checks: [{detector: nsfw, label: nsfw, threshold: 0.5}]
ladder: [{action: block}]
early_look: {at: 0.5}
tests: [{prompt: aaa, expect: steered}, {scores: {a: 1}, expect: steered}]
"""


def graded(prompts: Sequence[str]) -> list[Scores]:
    """A classifier that gives the list's score as well."""
    return [Scores(values={"a": 0.25}) for _ in prompts]


def found(old: str, new: str) -> list[tuple[str, int, int]]:
    """Id and place of the findings when one thing in a good policy is another."""
    assert old in POLICY
    return [(f.lint, f.line, f.column) for f in lint(Policy(POLICY.replace(old, new, 1)))]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("aaa,", "aaa,", []),
        ("aaa,", "aaa, 'axe; bomb',", [("odd-term", 4, 33)]),
        ("aaa,", "aaa, a|b, sword / dagger,", [("odd-term", 4, 33), ("odd-term", 4, 38)]),
        ("aaa,", 'aaa, "knife\\ngun",', [("odd-term", 4, 33)]),
        ("aaa,", "aaa, 'knif*',", [("odd-term", 4, 33)]),
        ("unaaa", "unaaa, '*free zone'", [("odd-term", 4, 78)]),
        ("[unaaa]", "[unaaa, Aaa]", [("both-ways", 4, 78)]),
        ("[unaaa]", "[x], several: [y]", [("people-alone", 4, 84)]),
        ("[unaaa]", "[x], figures: [y], handlers: [z]", [("people-alone", 4, 99)]),
        ("[unaaa]", "[x], people: true, several: [y], handlers: [z]", []),
        ("scores: {a: 1}", "scores: {a: 0.5}", [("score-between", 10, 54)]),
        ("concept: c", "concept: c, strength: 0", [("no-strength", 6, 52)]),
        ("concept: c}]", "concept: c, strength: 0}], check: []", [("no-strength", 6, 52)]),
        (
            "steer: [{concept: c}]",
            "fair: {attribute: g, strength: 0, target: {m: 0.5, w: 0.5}}",
            [("no-strength", 6, 50)],
        ),
        (
            "steer: [{concept: c}]",
            "fair: {attribute: g, strengths: {m: 0}, target: {m: 0.5, w: 0.5}}",
            [],
        ),
        ("threshold: 0.5", "threshold: 0", [("flags-all", 7, 10)]),
        (
            "concept: c}]",
            "concept: c}], check: [{detector: nsfw, label: nsfw, threshold: 0}]",
            [("flags-all", 6, 75)],
        ),
        (
            "checks: [{detector: nsfw, label: nsfw, threshold: 0.5}]",
            "",
            [("nothing-flags", 8, 9), ("nothing-flags", 9, 13)],
        ),
    ],
)  # fmt: skip
def test_what_does_nothing(old: str, new: str, expected: list[tuple[str, int, int]]) -> None:
    """Each slip is found where it stands, and what is meant is left alone."""
    assert sorted(found(old, new)) == sorted(expected)


def test_a_test_proves_no_band_of_a_list() -> None:
    """A rule that only scores between 0 and 1 reach cannot fire, whatever tests say."""
    text = POLICY.replace("a >= 0.5", "a >= 0.3 && score.a < 0.8")
    text = text.replace("{prompt: aaa, expect: steered}, {scores: {a: 1}", "{scores: {a: 0.5}")
    told = [finding.lint for finding in lint(Policy(text))]

    assert told == ["unreachable-rule", "score-between"]
    assert lint(Policy(text, classifiers=[graded])) == []


def test_checks_of_rules_and_imports_count() -> None:
    """The ladder is for whatever flags images."""
    checks = "checks: [{detector: nsfw, label: nsfw, threshold: 0.5}]\n"
    rule = POLICY.replace(checks, "").replace(
        "concept: c}]", "concept: c}], check: [{detector: nsfw, label: nsfw, threshold: 0.5}]"
    )
    base = POLICY.split("rules:")[0] + checks + "rules: [{id: b, when: 'true', then: {mark: true}}]"
    importing = POLICY.replace(checks, "").replace("lists:", "imports: [b]\nlists:")

    assert lint(Policy(rule)) == []
    assert "nothing-flags" not in [
        each.lint for each in lint(Policy(importing, fetch=lambda *_: (base, "b")))
    ]
