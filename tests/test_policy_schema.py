"""The JSON Schema that editors read says what the loader says."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from safegen.policy.schema import json_schema

PACKS = sorted((Path(__file__).parent.parent / "policies").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())


def policy(**changes: Any) -> dict[str, Any]:
    """A small policy with some keys changed."""
    rule = {"id": "a", "when": "true", "then": {"block": {"reason": "x"}}}
    metadata = {"name": "small", "version": "1"}
    return {"apiVersion": "safegen/v1", "metadata": metadata, "rules": [rule]} | changes


def test_it_is_a_schema() -> None:
    """Valid itself, and it says what each key is for."""
    Draft202012Validator.check_schema(json_schema())
    rule = json_schema()["$defs"]["Rule"]["properties"]

    assert "CEL" in rule["when"]["description"]
    assert rule["enforce"]["enum"] == ["on", "shadow"]


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.stem)
def test_shipped_packs_fit(pack: Path) -> None:
    """Every shipped pack is what the schema describes."""
    tree = YAML(typ="safe", pure=True).load(pack.read_text(encoding="utf-8"))

    assert [error.message for error in VALIDATOR.iter_errors(tree)] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"ruls": []},
        {"apiVersion": "safegen/v2"},
        {"lists": {"a": {"kind": "skore", "terms": ["x"]}}},
        {"lists": {"A": {"kind": "score", "terms": ["x"]}}},
        {"checks": [{"detector": "clip", "label": "x", "threshold": 2}]},
        {"rules": [{"id": "a", "when": "true"}]},
        {"rules": [policy()["rules"][0] | {"priority": 1001}]},
        {"rules": [policy()["rules"][0] | {"priority": "high"}]},
    ],
)
def test_mistakes_do_not_fit(changes: dict[str, Any]) -> None:
    """Unknown keys, wrong values and missing parts are marked in the editor."""
    assert VALIDATOR.is_valid(policy())
    assert not VALIDATOR.is_valid(policy(**changes))
