"""YAML with places: what it means, where it stands, and what reading it may cost."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from safegen.errors import PolicyError
from safegen.policy import tree
from safegen.policy.load import parse_policy
from safegen.policy.tree import key_position, position, read_tree

PACKS = sorted((Path(__file__).parent.parent / "policies").glob("*.yaml"))
HEAD = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\n'
RULE = "rules: [{id: a, when: 'true', then: {block: {reason: abc}}}]\n"

WORDS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=12)
SCALARS = (
    WORDS
    | st.sampled_from(["no", "off", "~", "true", "null", "2026-01-01", "1e3", "0x1f", "1:2", "<<"])
    | st.booleans()
    | st.none()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


def tupled(value: Any) -> Any:
    """With tuples for lists, as trees are given out."""
    if isinstance(value, dict):
        return {key: tupled(each) for key, each in value.items()}
    return tuple(map(tupled, value)) if isinstance(value, list) else value


def by_json(value: Any) -> str:
    """JSON, of which YAML 1.2 is a superset."""
    return json.dumps(value, ensure_ascii=False)


def by_ruamel(value: Any) -> str:
    """Written by ruamel.yaml, which writes YAML 1.2.

    In block style, for libyaml refuses a word that begins with a colon between brackets.
    """
    text = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump(value, text)
    return text.getvalue()


@pytest.mark.parametrize("write", [by_json, by_ruamel])
@settings(max_examples=150, deadline=None)
@given(value=TREES)
def test_what_is_written_is_read(write: Callable[[Any], str], value: Any) -> None:
    """Values written by other programs are read as they were."""
    assert read_tree(write({"a": value}), "p.yaml").plain() == {"a": tupled(value)}


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.stem)
def test_packs_are_read_as_by_ruamel(pack: Path) -> None:
    """An independent reader of YAML 1.2 finds the same in every shipped pack."""
    text = pack.read_text(encoding="utf-8")

    assert read_tree(text, pack.name).plain() == tupled(YAML(typ="safe", pure=True).load(text))


def test_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without libyaml, its reader in Python gives the same tree."""
    text = PACKS[0].read_text(encoding="utf-8")
    fast = read_tree(text, "p.yaml")
    monkeypatch.setattr(tree, "_Events", yaml.SafeLoader)

    assert read_tree(text, "p.yaml") == fast
    with pytest.raises(PolicyError, match="nested deeper than 40"):
        read_tree("[" * 100_000, "p.yaml")


def test_places() -> None:
    """Values and keys are found at their lines and columns, behind emoji and in any style."""
    read = read_tree("é: [🪦, {b: x}]\nc:\n  - d: 'y'\n\n  - e\nf:\n", "p.yaml")

    assert position(read, ()) == (1, 1)
    assert position(read, ("é", 1, "b")) == (1, 12)
    assert key_position(read, ("é", 1, "b")) == (1, 9)
    assert position(read, ("c",)) == (3, 3)
    assert position(read, ("c", 0, "d")) == (3, 8)
    assert position(read, ("c", 1)) == (5, 5)
    assert position(read, ("c", 9, "x")) == (3, 3)
    assert key_position(read, ("f",)) == (6, 1)


def steps(text: str) -> int:
    """How many functions are called while a policy is read."""
    called = 0

    def count(_: FrameType, event: str, __: Any) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        parse_policy(text, "p.yaml")
    finally:
        sys.setprofile(None)
    return called


@pytest.mark.parametrize(
    ("before", "each", "after"),
    [
        (f"{HEAD}{RULE}lists:\n  a:\n    kind: fact\n    terms:\n", "      - word\n", ""),
        (f"{HEAD}{RULE}lists: {{a: {{kind: fact, terms: [", "w, ", "w]}}\n"),
        (f"{HEAD}rules:\n", "  - {id: r, when: 'true', then: {block: {reason: abc}}}\n", ""),
        (f"{HEAD}{RULE}tests:\n", "  - {prompt: a cat, expect: blocked}\n", ""),
    ],
    ids=["terms by line", "terms in a row", "rules", "tests"],
)
def test_reading_takes_few_steps_for_each_value(before: str, each: str, after: str) -> None:
    """Twice the file takes twice the steps, and no value takes more than twenty.

    So the largest file, of 2 MB, is read in a bounded number of them: counted, for time is not
    the same on two machines.
    """
    parse_policy(before + each + after, "p.yaml")  # what is made once, such as the schema
    once, twice = (steps(before + each * count + after) for count in (2_000, 4_000))
    values = each.count(":") * 2 + each.count("- ") + each.count(", ") + 1

    assert twice <= 2.05 * once
    assert once / 2_000 <= 20 * values
