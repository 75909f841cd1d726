"""What is hardly meant is told, with an id that the docs explain."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from packs import PACKS

from safegen.audit.detectors import detector_names
from safegen.audit.detectors.known import known_labels
from safegen.nouns import Scores
from safegen.policy import Policy
from safegen.policy.lint import LINTS, lint
from safegen.policy.lint_named import OF_DETECTORS, OF_VECTORS

ROOT = Path(__file__).parent.parent
HEAD = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1", owner: us}
lists:
  a: {kind: score, terms: [aaa]}
  b: {kind: fact, terms: [bbb]}
tests: [{prompt: aaa bbb, expect: blocked}]
rules:
  - {id: one, when: score.a >= 0.5 && fact.b, then: {block: {reason: one}}}
"""


def rule(when: str, then: str = "steer: [{concept: c}]") -> str:
    """One more rule."""
    return f'  - {{id: two, when: "{when}", then: {{{then}}}}}\n'


DRAW = "fair: {attribute: g, target: {m: 0.5, w: 0.5}}"


def first(when: str, then: str = "steer: [{concept: c}]") -> str:
    """The same rule with a priority."""
    return rule(when, then).replace("two,", "two, priority: 5,")


def as_shadow(text: str) -> str:
    """The same rule as a shadow."""
    return text.replace("two,", "two, enforce: shadow,")


def third(then: str) -> str:
    """One rule more, that fires apart from the others."""
    return f"  - {{id: three, when: request.region == 'eu', then: {{{then}}}}}\n"


def graded(prompts: Sequence[str]) -> list[Scores]:
    """A classifier by which score.a, which is a list's too, may be any number."""
    return [Scores(values={"a": 0.0}) for _ in prompts]


def found(text: str) -> list[tuple[str, int]]:
    """Id and line of the findings, but that the added rule fires in no test."""
    findings = lint(Policy(text, classifiers=[graded]))
    return [(f.lint, f.line) for f in findings if f.lint != "untested-rule"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", []),
        (rule("fact.b"), []),
        (rule("'x' == 'x'"), []),
        (rule("false"), ["unreachable-rule"]),
        (rule("score.a > 0.7 && score.a < 0.3"), ["unreachable-rule"]),
        (rule("fact.b && request.tenant == 'x' && request.tenant == 'y'"), ["unreachable-rule"]),
        (rule("score.a > 0.7 && score.a < 0.701"), []),
        (rule("request.tenant.startsWith('q')"), []),
        (rule("fact.b || !fact.b"), ["always-fires"]),
        (rule("request.region != 'eu' || score.a < 0.9"), []),
        (rule("1 / int(score.a) == 1"), ["failing-condition"]),
        (rule("fact.b && score.a >= 0.7"), ["shadowed-rule"]),
        (rule("fact.b && score.a >= 0.7", "block: {reason: two}"), ["shadowed-rule"]),
        (rule("fact.b && score.a >= 0.4"), []),
        (rule("score.a >= 1.5"), ["threshold-out-of-range", "unreachable-rule"]),
        (rule("fact.b && 50.0 < score.a"), ["threshold-out-of-range", "unreachable-rule"]),
        (rule("fact.b && score.a >= 0.0"), ["threshold-out-of-range"]),
        (rule("fact.b && request.tenant == 'score.a > 7'"), []),
        (rule("fact.b", "block: {reason: Not this!}"), ["unclear-reason"]),
        (rule("fact.b", "review: {reason: look.at-it}"), []),
        (first("fact.b"), ["idle-priority"]),
        (first("fact.b", "review: {reason: two}"), ["idle-priority"]),
        (first("fact.b && request.region == 'eu'", "block: {reason: two}"), []),
        (as_shadow(first("fact.b", "block: {reason: two}")), ["idle-priority"]),
        (first("fact.b") + third("steer: [{concept: c, start: 0.5}]"), []),
        (first("fact.b") + third("steer: [{concept: d}]"), ["idle-priority"]),
        (first("fact.b", DRAW) + third("fair: {attribute: g, target: {m: 0.1, w: 0.9}}"), []),
        (first("fact.b", "negative_prompt: no") + third("negative_prompt: none"), []),
    ],
)
def test_rules(more: str, expected: list[str]) -> None:
    """Each slip is found where it stands, and what is meant is left alone."""
    assert sorted(found(HEAD + more)) == [(name, 9) for name in expected]


@pytest.mark.parametrize(
    "when",
    [
        "score.a > .6 && score.a < .9",
        "score.a > 6e-1 && score.a < 9e-1",
        "score.a > 0.0 && score.a < 1e-11",
        "score.a > 0.5 && score.a < 0.5000000001",
        "!(score.a < 0.5) && !(score.a >= 0.7)",
        "score.a > 0.5 ? score.a < 0.6 : false",
        "-score.a <= -0.5 && score.a < 0.7",
        "score.a + score.a > 1.2 && score.a < 0.65",
        "request.tenant > 'aa' && request.tenant < 'b'",
        "request.tenant != '' && request.tenant != 'something else'",
        "request.tenant == 'it\\\\'s' && fact.b",
        "request.tenant in ['eu', 'uk'] && request.tenant != 'eu'",
        "score.a >= 0.5 // it's\\n && request.tenant == 'it'",
        "size(request.tenant) > 40",
    ],
)
def test_what_can_fire_is_not_called_unreachable(when: str) -> None:
    """However a condition is written: where it cannot be told, nothing is."""
    assert found(HEAD + rule(when)) == []


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("score.a > .6 && score.a < .5", "unreachable-rule"),
        ("score.a < 0.5 ? score.a > 0.6 : false", "unreachable-rule"),
        ("fact.b == (score.a > 0.5) && fact.b != (score.a > 0.5)", "unreachable-rule"),
        ("score.a >= .5 || !(score.a >= 0.5)", "always-fires"),
        ("[fact.b][fact.b ? 0 : 1]", "failing-condition"),
    ],
)
def test_what_cannot_fire_is_told_however_it_is_written(when: str, expected: str) -> None:
    """Numbers without a leading zero, choices and comparisons of facts can be told."""
    assert (expected, 9) in found(HEAD + rule(when))


@pytest.mark.parametrize("when", ["score.a > 1e-1", "score.a > 1.5e-1", "score.a < .9"])
def test_a_number_is_read_whole(when: str) -> None:
    """With its exponent, and without a leading zero, it is a threshold like any other."""
    assert found(HEAD + rule(when)) == []


@pytest.mark.parametrize("when", ["score.a > -0.5 && fact.b", "score.a < 1e1 && fact.b"])
def test_thresholds_that_all_scores_pass(when: str) -> None:
    """Below 0 and above 1 in any form."""
    assert found(HEAD + rule(when)) == [("threshold-out-of-range", 9)]


def test_what_shadows() -> None:
    """A fair rule after another for the same attribute; not one that also does something else."""
    fair = "fair: {attribute: g, target: {x: 0.5, y: 0.5}}"
    first = rule("fact.b", fair)
    second = rule("fact.b && score.a >= 0.9", fair).replace("two", "three")

    assert ("shadowed-rule", 10) in found(HEAD + first + second.replace("0.9", "0.2"))
    assert ("shadowed-rule", 10) not in found(
        HEAD.replace("block: {reason: one}", "steer: [{concept: z}]").replace("blocked", "steered")
        + first
        + second.replace("fair:", "negative_prompt: x, fair:")
    )


def test_a_shadow_hides_nothing() -> None:
    """A rule that does nothing cannot make another one pointless."""
    shadow = HEAD.replace("{id: one,", "{id: one, enforce: shadow,")

    assert found(shadow + rule("fact.b && score.a >= 0.7")) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (", owner: us", "", "no-owner"),
        ("tests: [{prompt: aaa bbb, expect: blocked}]\n", "", "no-tests"),
        ("aaa bbb, expect: blocked", "bbb, expect: allowed", "untested-rule"),
        ("  b: {", "  z: {kind: fact, terms: [z]}\n  b: {", "unused-list"),
        ("{id: one,", "{id: one, locked: true, enforce: shadow,", "locked-shadow"),
    ],
)
def test_what_is_missing(old: str, new: str, expected: str) -> None:
    """Tests, an owner, a rule for a list."""
    assert old in HEAD
    assert expected in {finding.lint for finding in lint(Policy(HEAD.replace(old, new)))}


def test_imported_rules_are_not_ours_to_mend() -> None:
    """Findings are about the policy's own file only."""
    text = HEAD.split("lists:")[0] + "imports: [base]\n"
    base = HEAD + rule("false")

    assert [f.lint for f in lint(Policy(text, fetch=lambda *_: (base, "b")))] == ["no-tests"]


def test_a_list_used_through_another_is_used() -> None:
    """`{b}` in a list that a rule reads counts as reading b."""
    text = HEAD.replace("[aaa]", "['aaa', 'old {b}']").replace(" && fact.b", "")

    assert found(text) == []


def test_every_lint_is_explained() -> None:
    """The page has a section for each id, and for nothing else."""
    page = (ROOT / "docs" / "policy-lint.md").read_text(encoding="utf-8")
    sections = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]

    assert sections == [*LINTS, *OF_DETECTORS, *OF_VECTORS]


@pytest.mark.parametrize("pack", PACKS)
def test_shipped_packs_have_no_findings(pack: str) -> None:
    """What we ship passes what we ask of others."""
    policy = Policy.load(pack)
    found = lint(policy, known_labels(policy.file.detectors))

    assert [finding.message for finding in found] == []


@pytest.mark.parametrize(
    ("between", "threshold", "expected"),
    [
        ("[0.2, 0.8]", "0.8", []),
        ("[0.2, 0.8]", "0.5", []),
        ("[0.2, 0.8]", "0.9", [("open-band", 9)]),
        ("[0.2, 1.0]", "1.0", []),
    ],
)
def test_a_band_that_nobody_closes(
    between: str, threshold: str, expected: list[tuple[str, int]]
) -> None:
    """Above the band, the detector that was sure must flag the image itself."""
    band = f"detectors: {{dear: {{when: {{detector: cheap, label: x, between: {between}}}}}}}\n"
    check = f"checks: [{{detector: cheap, label: x, threshold: {threshold}}}]\n"

    assert found(HEAD + band + check) == expected


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("{prompt: encrypted, keep_days: 365}", []),
        ("{prompt: plain}", ["plain-text-kept"]),
        ("{prompt: plain, user: plain}", ["plain-text-kept", "plain-text-kept"]),
        ("{prompt: encrypted, user: none}", ["nobody-to-erase"]),
        ("{prompt: none, user: none}", []),
    ],
)
def test_what_is_kept(section: str, expected: list[str]) -> None:
    """What can be read by anybody, or erased for nobody, is told."""
    assert [lint for lint, _ in found(f"{HEAD}record: {section}\n")] == expected


@pytest.mark.parametrize(
    ("section", "expected"),
    [("", ["faces-of-users"]), ("record: {user: plain}\n", ["faces-of-users", "plain-text-kept"]),
     ("record: {user: none}\n", [])],
)  # fmt: skip
def test_faces_beside_users(section: str, expected: list[str]) -> None:
    """What is read of faces stays when a user is erased, so that is told where users are kept."""
    assert sorted(each for each, _ in found(f"{HEAD}detectors: {{faces: {{}}}}\n{section}")) == (
        expected
    )


@pytest.mark.parametrize(
    ("base", "section", "line"),
    [
        ("detectors: {faces: {}}\nrecord: {user: none}\n", "record: {user: hmac}\n", 4),
        ("record: {user: hmac}\n", "detectors: {faces: {}}\n", 4),
        ("detectors: {faces: {}}\n", "", 3),
        ("detectors: {faces: {}}\n", "record: {user: none}\n", None),
    ],
)
def test_faces_beside_users_over_an_import(
    tmp_path: Path, base: str, section: str, line: int | None
) -> None:
    """It is told of what is in force, where the file says its part of it."""
    head = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1", owner: us}\n'
    (tmp_path / "base.yaml").write_text(head + base)
    rules = HEAD[HEAD.index("lists:") :]
    (tmp_path / "top.yaml").write_text(f"{head}imports: [base.yaml]\n{section}{rules}")
    findings = lint(Policy.load(tmp_path / "top.yaml"))

    assert [each.line for each in findings if each.lint == "faces-of-users"] == (
        [line] if line else []
    )


def test_many_rules_are_not_asked_each_beside_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rules would take minutes: those that fire beside one are asked for at once."""
    rules = "".join(
        f"  - {{id: r{n}, when: \"score.harm >= 0.5 && request.tenant == 't{n}'\", "
        f"then: {{review: {{reason: r{n}.seen}}}}}}\n"
        for n in range(60)
    )
    head = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1", owner: me}\n'
    policy = Policy(f"{head}lists: {{harm: {{kind: score, terms: [harm]}}}}\nrules:\n{rules}")
    calls = []
    real = policy.firing
    monkeypatch.setattr(policy, "firing", lambda *given: [calls.append(1), real(*given)][1])

    assert {finding.lint for finding in lint(policy)} == {"no-tests"}
    assert len(calls) < 60 * 60


def of_detectors(more: str) -> list[tuple[str, int, str]]:
    """What is found about detectors in a policy with these sections: lint, line, message."""
    head = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1", owner: us}\n'
    policy = Policy(head + more)
    found = lint(policy, {**known_labels(policy.file.detectors), "mine": None})
    return [(e.lint, e.line, e.message) for e in found if e.lint in OF_DETECTORS]


RULE = (
    "rules: [{id: r, when: 'true', then: {check: [{detector: DETECTOR, label: LABEL, "
    "threshold: 0.5}]}}]\n"
)


@pytest.mark.parametrize(
    ("detector", "label", "more", "found", "told"),
    [
        ("clip", "weapon", "", "", ""),
        ("clipp", "weapon", "", "unknown-detector", "did you mean clip?"),
        ("clip", "weaponn", "", "unknown-label", "did you mean weapon?"),
        ("nsfw", "nsfww", "", "unknown-label", "did you mean nsfw?"),
        ("nudenet", "BELLY", "", "unknown-label", "never sees 'BELLY'"),
        ("mine", "whatever", "", "", ""),
        ("clip", "hat", "detectors: {clip: {settings: {concepts: {hat: [a hat]}}}}\n", "", ""),
        (
            "clip",
            "weapon",
            "detectors: {clip: {settings: {labels: {a: [b]}}}}\n",
            "unknown-label",
            "never sees",
        ),
        ("clip", "hat", "detectors: {clip: {settings: {probes: p.safetensors}}}\n", "", ""),
    ],
)
def test_detectors_and_labels_that_do_not_exist(
    detector: str, label: str, more: str, found: str, told: str
) -> None:
    """A guard would refuse them when it starts: CI knows before."""
    text = RULE.replace("DETECTOR", detector).replace("LABEL", label) + more
    seen = of_detectors(text)

    assert [(lint, line) for lint, line, _ in seen] == ([(found, 3)] if found else [])
    assert all(told in message for *_, message in seen)


def test_where_detectors_are_asked() -> None:
    """In checks of every image, in agreements, in bands, and where they are used."""
    text = RULE.replace("DETECTOR", "clip").replace("LABEL", "weapon") + (
        "checks:\n"
        "  - {detector: clip, label: wepon, threshold: 0.5}\n"
        "  - at_least: 2\n"
        "    of:\n"
        "      - {detector: nsfw, label: nsfw, threshold: 0.5}\n"
        "      - {detector: nude, label: x, threshold: 0.5}\n"
        "detectors:\n"
        "  nudenet: {when: {detector: nsfw, label: safe, between: [0.2, 1]}}\n"
        "  other: {}\n"
    )

    assert [(lint, line) for lint, line, _ in of_detectors(text)] == [
        ("unknown-label", 5),
        ("unknown-detector", 9),
        ("unknown-label", 11),
        ("unknown-detector", 12),
    ]


def test_the_labels_of_every_shipped_detector_are_known() -> None:
    """One that is added later is not forgotten."""
    assert set(known_labels({})) == set(detector_names())
    assert all(known_labels({})[name] for name in ("clip", "faces", "nsfw", "nudenet"))


@pytest.mark.parametrize(
    ("ladder", "column"),
    [
        ("[{action: block}, {action: regenerate}, {action: blur}]", 27),
        ("[{action: regenerate}, {action: regenerate}, {action: review}]", None),
    ],
)
def test_what_follows_an_end_is_not_reached(ladder: str, column: int | None) -> None:
    """Only another attempt leaves something for the next rung."""
    text = RULE.replace("DETECTOR", "clip").replace("LABEL", "weapon") + f"ladder: {ladder}\n"
    head = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1", owner: us}\n'
    found = [each for each in lint(Policy(head + text)) if each.lint == "unreachable-rung"]

    assert [each.column for each in found] == ([column] if column else [])


def test_vectors_that_do_nothing() -> None:
    """Told where the file names them; what works, or was not measured, is none of it."""
    more = rule("fact.b", "steer: [{concept: c}, {concept: e}]") + third(DRAW)
    ladder = "ladder: [{action: regenerate, add: [{concept: c}]}, {action: block}]\n"
    nothing = "no effect shown"
    verdicts = {"c": nothing, "w": nothing, "m": "no room", "e": "not measured"}
    findings = lint(Policy(HEAD + more + ladder), {}, verdicts)
    told = [(each.line, each.message) for each in findings if each.lint == "no-effect-shown"]

    assert [line for line, _ in told] == [9, 10, 11]
    assert ["'c'" in told[0][1], "'w'" in told[1][1], "'c'" in told[2][1]] == [True] * 3
