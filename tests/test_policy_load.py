"""Every mistake in a policy file is an error with its place, its reason and its mend."""

from pathlib import Path

import pytest

from safegen.errors import PolicyError
from safegen.nouns import Context
from safegen.policy import Policy
from safegen.policy.load import find_policy, parse_policy

GOOD = """\
apiVersion: safegen/v1
metadata: {name: small, version: "1"}
lists:
  weapon: {kind: score, terms: [knife, gun]}
rules:
  - id: a
    when: score.weapon >= 0.5
    then: {steer: [{concept: no-weapon}]}
"""


@pytest.mark.parametrize(
    ("old", "new", "where", "reason", "mend"),
    [
        ("rules:", "ruls:", "5:1", "unknown key 'ruls'", "did you mean rules?"),
        ("concept:", "koncept:", "8:21", "unknown key 'koncept'", "did you mean concept?"),
        ("    then:", "    xyzzy: 1\n    then:", "8:5", "unknown key 'xyzzy'", "enforce, id,"),
        ("    when: score.weapon >= 0.5\n", "", "6:5", "'when' is missing in rules.0", ""),
        ("id: a", "id: A", "6:9", "rules.0.id", ""),
        ("kind: score", "kind: skore", "4:18", "lists.weapon.kind", "did you mean score?"),
        ("[knife, gun]", "[]", "4:32", "lists.weapon.terms", ""),
        ("[knife, gun]", "[knife, '...']", "4:40", "neither a word", ""),
        ("[knife, gun]", "['{wepon} x']", "4:33", "names the list 'wepon'", "weapon?"),
        ("rules:", "checks: [{at_least: 2, off: []}]\nrules:", "5:24", "key 'off'", "mean of?"),
        ("rules:", "checks: [{detector: x, labl: y}]\nrules:", "5:24", "key 'labl'", "mean label?"),
        ("rules:", "checks: [{at_least: 2, of: []}]\nrules:", "5:10", "names 0", ""),
        (
            "rules:",
            "checks: [{at_least: 2, of: [{detector: x, label: y, threshold: 7}]}]\nrules:",
            "5:64",
            "threshold",
            "",
        ),
        (
            "rules:",
            "detectors: {x: {when: {detector: y, label: z, between: [0.5, 0.5]}}}\nrules:",
            "5:23",
            "between 0.5 and 0.5 there is nothing",
            "",
        ),
        ("rules:", "detectors: {x: {timeout: 0}}\nrules:", "5:26", "timeout", ""),
        ("safegen/v1", "safegen/v2", "1:13", "apiVersion", ""),
        ("no-weapon}", "x, strength: .inf}", "8:43", "strength", ""),
        ("no-weapon}", "x, strength: strong}", "8:43", "got 'strong'", ""),
        ("no-weapon}", "x, start: 0.5, stop: 0.5}", "8:20", "not before stop", ""),
        ("steer: [{concept: no-weapon}]", "", "8:11", "does nothing", ""),
        ("score.weapon", "score.weapn", "7:11", "unknown variable score.weapn", "score.weapon?"),
        ("score.weapon", "fact.negated_x || score.weapon", "7:11", "fact.negated_x", ""),
        ("score.weapon >= 0.5", "score.weapon >= 1", "7:24", "overload", "1.0"),
        ("score.weapon >= 0.5", "score.weapon", "7:11", "expected yes or no", "compare"),
        ("score.weapon >= 0.5", "score.weapon >= 0.5 &&", "7:33", "Syntax error", ""),
        ("score.weapon >= 0.5", ">-\n      score.weapn > 0.5", "7:11", "score.weapn", ""),
        ("score.weapon >= 0.5", ">-\n      true &&\n      score.weapn > 0", "7:11", "weapn", ""),
        ("score.weapon >= 0.5", "|\n      true &&\n       score.weapn > 0", "9:8", "weapn", ""),
        ("score.weapon >= 0.5", "|\n      score.weapn > 0\n      || true", "8:7", "weapn", ""),
        ("score.weapon >= 0.5", "|\n      true &&\n      true &&\n", "7:11", "Syntax error", ""),
        ("score.weapon >= 0.5", '"true &&\\nscore.weapn > 0"', "7:11", "weapn", ""),
        ("rules:", "rules: []\nrules:", "6:1", "duplicate key", ""),
        ("[knife, gun]", "[knife", "4:38", "expected", ""),
        ("  weapon:", "  negated_x: {kind: fact, terms: [a]}\n  weapon:", "4:14", "negated_", ""),
        ("  weapon:", "  W: {kind: fact, terms: [a]}\n  weapon:", "4:3", "does not fit", ""),
        ("rules:", "1: x\nrules:", "5:1", "has the key 1", "in quotes"),
        ("no-weapon}", "x, strength: 0,5}", "8:43", "has the key 5", "write 0.5, with a point"),
        ("no-weapon}", "x, strength: -0,05}", "8:43", "has the key 5", "write -0.05, with a"),
        ("id: a", "{id: a, when: score.weapon >= 0,5}", "6:35", "has the key 5", "write 0.5,"),
        (
            "{steer: [{concept: no-weapon}]}",
            "\n      steer:\n      - concept: x\n        strength: 1,5",
            "11:19",
            "got '1,5'",
            "write 1.5, with a point",
        ),
        ("no-weapon}", "x, strength: many, 5}", "8:49", "has the key 5", "in quotes"),
        ("when: score.weapon >= 0.5", "<<: {when: 'true'}", "7:5", "merges", "write it out"),
        ("weapon: {", "weapon: {terms: [axe], ", "4:39", "duplicate key", ""),
        ("then: {steer", "then: {blok: {reason: x}, steer", "8:12", "unknown key 'blok'", "block?"),
        ("concept: no-weapon", "concept: no-weapon, gate: opn", "8:47", "gate", "open?"),
        ("score.weapon >= 0.5", "!fact.job", "7:11", "tag '!fact.job'", "quotes: '!fact.job'"),
        ("score.weapon >= 0.5", "!fact.a == 'x'", "7:11", "'!fact.a'", "'!fact.a == ''x'''"),
        ("score.weapon >= 0.5", "!fact.a && true", "7:20", "alphabetic", "put the text in quotes"),
        ("score.weapon >= 0.5", "score.weapon >= 50%", "7:30", "Syntax", "write 0.5 for 50%"),
        ("score.weapon >= 0.5", "score.weapon >= 0,5", "7:28", "Syntax", "write 0.5 for 0,5"),
        ("[knife, gun]", "[&co nightclub]", "4:33", "the anchor '&co'", "'&co nightclub'"),
        ("[knife, gun]", "[*gun]", "4:33", "an alias", "begins with * in quotes"),
        ("[knife, gun]", "[@gun]", "4:33", "any token", "put the text in quotes"),
        ("[knife, gun]", "[{gun: axe}]", "4:33", "expected a text, got {", "quotes: 'gun: axe'"),
        ("[knife, gun]", "[~]", "4:33", "expected a text, got nothing", "if it begins with #"),
        ("[knife, gun]", "[true]", "4:33", "expected a text, got true", "put it in quotes"),
        ("[knife, gun]", "[]", "4:32", "expected at least 1 item, got []", ""),
        ("id: a", "id: Gender", "6:9", "expected small letters, digits, _, .", "write gender"),
        ("  weapon:", "  My weapon:", "4:3", "expected small letters, digits", "write my_weapon"),
        ("steer: [{concept: no-weapon}]", "block: no", "8:19", "expected a mapping, got", "reason"),
        ("steer: [{concept: no-weapon}]", "block: {reason: a: b}", "8:29", "expected", "a colon"),
        ("[knife, gun]", "knife gun", "4:32", "expected a list", "behind a dash: `- knife` …"),
        ("[knife, gun]", "'knife, gun'", "4:32", "expected a list", "write a list: [knife, gun]"),
        ("[knife, gun]", '"a b\\nc"', "4:32", "expected a list", "a line: `- a b`, `- c`"),
    ],
)  # fmt: skip
def test_mistakes(old: str, new: str, where: str, reason: str, mend: str) -> None:
    """One wrong word in a good policy is found, placed and explained."""
    assert old in GOOD
    with pytest.raises(PolicyError) as caught:
        Policy(GOOD.replace(old, new, 1), "p.yaml")
    error = caught.value

    assert f"{error.line}:{error.column}" == where
    assert str(error).startswith(f"p.yaml:{where}: ")
    assert reason in error.reason
    assert mend in (error.mend or "")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("tests: [{prompt: x, expect: alowed}]", "tests.0.expect"),
        ("tests: [{prompt: x, expect: error}]", "'steered', 'review' or 'blocked', got 'error'"),
        ("tests: [{prompt: x, expect: bypassed}]", "'review' or 'blocked', got 'bypassed'"),
        ("tests: [{prompt: x, expect: allowed, rules: [b]}]", "rule 'b', which does not exist"),
        ("tests: [{prompt: x, expect: allowed, facts: {y: true}}]", "fact 'y', which does not"),
        ("ladder: [{action: shout}]", "ladder.0.action"),
        ("checks: [{detector: clip, label: weapon, threshold: 2}]", "checks.0.threshold"),
        ("  - {id: a, when: 'true', then: {block: {reason: x}}}", "two rules are called 'a'"),
        ("  - {id: b, when: 'true', then: {block: {}}, lokked: true}", "unknown key 'lokked'"),
        ("  - {id: b, when: 'true', then: {block: {}}}", "'reason' is missing"),
        (
            "  - {id: b, when: 'true', then: {fair: {attribute: g, target: {w: 0.5, m: 0.6}}}}",
            "sums to 1.1, expected 1; it may be off by 0.01, for shares that are rounded",
        ),
        (
            "  - {id: b, when: 'true', then: {fair: {attribute: g, target: {w: 0.5, m: 0.4899}}}}",
            "sums to 0.9899, expected 1",
        ),
        (
            "  - {id: b, when: 'true', then: "
            "{fair: {attribute: g, target: {w: 0.5, m: 0.5}, strengths: {v: 2}}}}",
            "strengths has 'v', which is not in the target: w, m",
        ),
    ],
)
def test_mistakes_in_optional_parts(more: str, reason: str) -> None:
    """The optional parts are checked as strictly, and every error has a place."""
    with pytest.raises(PolicyError) as caught:
        Policy(GOOD + more, "p.yaml")

    assert reason in caught.value.reason
    assert caught.value.line


@pytest.mark.parametrize("last", [0.33, 0.34, 0.35])
def test_rounded_shares_are_a_target(last: float) -> None:
    """Thirds cannot be written out: shares that are off by a hundredth in all are whole ones."""
    fair = f"{{attribute: tone, target: {{light: 0.33, medium: 0.33, dark: {last}}}}}"
    policy = Policy(GOOD + f"  - {{id: b, when: 'true', then: {{fair: {fair}}}}}")
    _, decision = policy.assess("x", Context(images=9))

    assert len(decision.interventions) == 9


@pytest.mark.parametrize(
    "text", ["", "- a", "just words", "a: 1\tb\n\tc", "\x00", "a: b\n---\nc: d"]
)
def test_what_is_no_policy_at_all(text: str) -> None:
    """Anything that is not one mapping is a policy error, nothing else."""
    with pytest.raises(PolicyError):
        Policy(text)


@pytest.mark.parametrize("version", ["2026-11-25", "2026-99-99", "12:30:45", "1_000", "0b1"])
def test_dates_and_the_like_are_text(version: str) -> None:
    """YAML 1.2 knows no dates: what is neither number nor true, false or null is a word."""
    assert Policy(GOOD.replace('"1"', version)).file.metadata.version == version


def test_aliases_are_refused() -> None:
    """A few nested aliases would stand for more than fits into memory."""
    bomb = "a: &a [1, 2]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    with pytest.raises(PolicyError, match="alias") as caught:
        Policy(bomb)

    assert caught.value.line


def test_a_file_is_limited_in_size() -> None:
    """What is too large is refused before it is parsed."""
    with pytest.raises(PolicyError, match="at most"):
        Policy("#" * 2_000_001)


def test_words_stay_words() -> None:
    """YAML 1.2: `no` and `off` are words, not false."""
    assert Policy(GOOD.replace("[knife, gun]", "[no, off]")).file.lists["weapon"].terms == (
        "no",
        "off",
    )


def test_a_policy_is_a_file_or_a_pack(tmp_path: Path) -> None:
    """Packs are found by name, files by path; what is neither is an error that lists the packs."""
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD, encoding="utf-8")

    assert find_policy(path) == (GOOD, str(path))
    assert find_policy("default")[1] == "default.yaml"
    with pytest.raises(PolicyError, match="shipped pack: art, default"):
        find_policy("defalt")
    with pytest.raises(PolicyError, match="cannot read"):
        find_policy(tmp_path)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("imports: default", "write a list: [default]"),
        ("rules: [{id: r, when: 'true', then: block}]", "its keys are block, review, steer"),
        ("rules: [{id: r, when: 'true', then: {block: why}}]", "its keys are reason"),
        ("rules: [{id: r, when: true, then: {block: {reason: why}}}]", "put it in quotes"),
        ("checks: [{detector: d, label: l, threshold: 50%}]", "write 0.5"),
        ("rules:\n\t- x", "indent with spaces"),
    ],
)
def test_the_slips_of_beginners_have_a_mend(text: str, mend: str) -> None:
    """What another format or language would take."""
    head = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\n'
    with pytest.raises(PolicyError) as caught:
        parse_policy(f"{head}{text}\n", "p")

    assert mend in str(caught.value.mend)
    assert caught.value.line in (3, 4)
