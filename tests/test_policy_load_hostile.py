"""Whatever a file holds, loading it ends: in a policy, or in an error that says what is wrong."""

from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safegen.errors import PolicyError
from safegen.nouns import Context
from safegen.policy import Policy
from safegen.policy.load import decoded, find_policy, parse_policy

HEAD = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\n'
RULE = "rules: [{id: a, when: 'true', then: {block: {reason: abc}}}]\n"
GOOD = f"""{HEAD}imports: []
lists:
  a: {{kind: score, terms: [knife, "big {{b}}"]}}
  b: {{kind: fact, terms: [hat]}}
rules:
  - id: a
    when: score.a >= 0.5 && !fact.b
    then:
      fair: {{attribute: g, target: {{w: 0.5, m: 0.5}}}}
      check: [{{detector: clip, label: x, threshold: 0.5}}]
checks: []
tests: [{{prompt: x, context: {{seed: 1}}, expect: allowed}}]
"""
NINE = "abcdefghij"
MANY = f"{{kind: fact, terms: [{', '.join(['w'] * 2000)}]}}"
MANY_TIMES = MANY.replace("w", "'{b} w'")


def threshold(number: str) -> str:
    """A policy with a number in it."""
    return f"{HEAD}{RULE}checks: [{{detector: a, label: b, threshold: {number}}}]\n"


def nested(step: str, first: str) -> str:
    """Ten lines, each nine times the one before."""
    lines = [f"a: &a {first}"]
    for one, other in pairwise(NINE):
        lines.append(f"{other}: &{other} {step.format(', '.join([f'*{one}'] * 9))}")
    return "\n".join(lines)


HOSTILE = {
    "nested lists": ("a: " + "[" * 100_000, "nested deeper than 40"),
    "nested lists, closed": ("a: " + "[" * 50_000 + "]" * 50_000, "nested deeper than 40"),
    "nested mappings": ("{a: " * 50_000, "nested deeper than 40"),
    "nested blocks": ("".join(" " * i + "a:\n" for i in range(500)), "nested deeper than 40"),
    "dashes": ("- " * 100_000, "nested deeper than 40"),
    "question marks": ("? " * 100_000, "nested deeper than 40"),
    "alias bomb": (nested("[{}]", "[x, x]"), "an alias"),
    "merge bomb": (nested("{{<<: [{}]}}", "{x: 1}"), "merges another part"),
    "itself": (f"a: &a [*a]\n{HEAD}{RULE}", "alias|unknown key"),
    "long integer": (threshold("9" * 100_000), "got inf"),
    "long hexadecimal": (threshold("0x" + "f" * 100_000), "got inf"),
    "large exponent": (threshold("1e" + "9" * 10_000), "got inf"),
    "not a number": (threshold(".nan"), "threshold"),
    "sexagesimal": (threshold("1:" * 10_000 + "1"), "threshold"),
    "python": (f"a: !!python/object/apply:os.system ['true']\n{HEAD}{RULE}", "has the tag"),
    "tagged float": ("a: !!float x", "has the tag"),
    "tagged bool": ("a: !!bool x", "has the tag"),
    "tagged binary": ("a: !!binary x", "has the tag"),
    "tags": ("!a " * 100_000, "expected"),
    "anchors": ("&a " * 100_000 + "x", "expected"),
    "documents": ("---\na: 1\n" * 100_000, "another document"),
    "list as key": (f"? [a, b]\n: 1\n{HEAD}{RULE}", "has the key"),
    "no key": (f"~: 1\n{HEAD}{RULE}", "has the key None"),
    "zero byte": (f"{HEAD}\x00{RULE}", "not YAML"),
    "half a character": (f"{HEAD}# \ud800\n{RULE}", "half a character"),
    "a million letters": ("x" * 1_000_000, "expected a mapping"),
    "a key of a million letters": (f"{'x' * 1_000_000}: 1\n", "mapping values"),
    "a million quotes": ("'" * 1_000_001, "unexpected end"),
    "long condition": (HEAD + RULE.replace("true", "true && " * 60_000 + "true"), "limit"),
    "nested condition": (
        HEAD + RULE.replace("true", "(" * 9_000 + "true" + ")" * 9_000),
        "rule 'a'",
    ),
    "deep list of keys": ("? [" * 30 + "a", "nested deeper than 40|expected"),
    "a word as a check": (f"{HEAD}{RULE}checks: [knife]\n", "checks.0"),
    "a list as a check": (f"{HEAD}{RULE}checks: [[at_least, of]]\n", "checks.0"),
    "nothing as a check": (f"{HEAD}{RULE}checks: [~]\n", "checks.0"),
    "loops": (HEAD + RULE.replace("true", "[1].all(x, [1].all(y, x == y))"), "all.. loops"),
    "many imports": (f"{HEAD}imports: [{', '.join(['default'] * 33)}]\n", "at most 32"),
    "multiplied lists": (
        f"{HEAD}lists: {{b: {MANY}, a: {MANY_TIMES}}}\n{RULE}",
        "more than 500000 terms",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str) -> None:
    """What is made to exhaust memory, stack or patience is an error that says what it is."""
    text, reason = HOSTILE[name]
    with pytest.raises(PolicyError, match=reason) as caught:
        Policy(text, "p.yaml")

    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        HEAD.replace("name: x", f"name: {'x' * 1_000_000}") + RULE,
        f"{HEAD}lists: {{a: {{kind: fact, terms: [{'x' * 1_000_000}]}}}}\n{RULE}",
        f"#{'x' * 1_000_000}\n{HEAD}{RULE}",
        HEAD + RULE.replace("true", "!" * 5_000 + "true"),
        HEAD + RULE.replace("true", "true || " * 12_499 + "true"),
        HEAD.replace('"1"', "2026-99-99") + RULE,
        "\ufeff" + HEAD + RULE,
    ],
)
def test_large_and_odd_files_load(text: str) -> None:
    """What is merely large or odd is a policy like any other."""
    assert len(Policy(text).file.rules) == 1


def test_files_that_are_no_text(tmp_path: Path) -> None:
    """A byte that is not UTF-8 is told with its place; so is what is too large, or no file."""
    path = tmp_path / "p.yaml"
    path.write_bytes(HEAD.encode() + b"# caf\xe9\n")
    with pytest.raises(PolicyError, match=r"p\.yaml:3:6: the byte 0xe9 is not UTF-8"):
        find_policy(path)
    path.write_bytes(b"#" * 2_000_001)
    with pytest.raises(PolicyError, match="too large"):
        find_policy(path)
    for name in ("/dev/zero", tmp_path, "a\0b"):
        with pytest.raises(PolicyError, match="cannot read the policy"):
            find_policy(name)


PIECES = st.sampled_from([
    "a", "rules", "when", "then", "lists", "terms", "imports", "default", "steer", "fair", ":",
    ": ", "- ", "[", "]", "{", "}", ", ", "\n", "\n  ", "&a", "*a", "!!int ", "<<: ", "|", ">-",
    "'", '"', "#", "? ", "%", "@", "---", "...", "~", "true", "0x1f", ".inf", "1e9", "2026-01-01",
    "{b}",    "\t", "\u2028", "é", "\x07", "score.a", "&&", "fact.b", "negated_a",
])  # fmt: skip
MANGLED = st.builds(
    lambda start, length, piece: GOOD[:start] + piece + GOOD[start + length :],
    st.integers(0, len(GOOD)),
    st.integers(0, 20),
    st.lists(PIECES, max_size=6).map("".join),
)
ANY_TEXT = st.text(max_size=200)
FROM_PIECES = st.lists(PIECES, max_size=40).map("".join)
FUZZ = settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(MANGLED | FROM_PIECES | ANY_TEXT)
def test_any_text_loads_or_is_a_policy_error(text: str) -> None:
    """Mangled, random or meaningless: nothing but a policy or a `PolicyError` comes of it."""
    with suppress(PolicyError):
        assert Policy(text, "p.yaml").file.rules


@FUZZ
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_loader(data: bytes) -> None:
    """The same for files of any bytes."""
    with pytest.raises(PolicyError):
        parse_policy(decoded(data, "p.yaml"), "p.yaml")


def test_many_rules_load_and_fire() -> None:
    """More conditions than fit into one CEL expression are looked at all the same."""
    many = "".join(
        f"  - {{id: r{i}, when: fact.a, then: {{negative_prompt: x}}}}\n" for i in range(10_000)
    )
    policy = Policy(f"{HEAD}lists: {{a: {{kind: fact, terms: [hat]}}}}\nrules:\n{many}")

    assert len(policy.assess("a hat", Context())[1].rules) == 10_000
    assert policy.assess("a cat", Context())[1].rules == ()
