"""Overturned records as test cases for the policy, so that a false alarm is not raised again."""

import io
import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from safegen.audit.aspects import rules_of
from safegen.nouns import Decision, Event, Outcome, Record

_HEAD = """# {count} requests that the policy stopped and that a reviewer let pass.
# `safegen policy test` with this file fails for each until the policy lets it pass.
# They are decided from the scores that were recorded, since the ledger does not keep prompts. Where
# you mend a list or a classifier and not a rule, put `prompt:` in place of `scores` and `facts`.
"""
_PATH = "# The path of the policy's file from this one's folder; the ledger knows its name only.\n"


def cases(policy: str, overturned: Iterable[tuple[Record, Sequence[Event]]]) -> str:
    """A policy file that imports the policy and tests it.

    Args:
        policy: name of the policy that decided about the records.
        overturned: records, each with the events about it.
    """
    tests: list[str] = []
    apart: list[str] = []
    for record, events in overturned:
        stopped = ", ".join(rule for rule, stops in rules_of(record).items() if stops)
        why = events[-1].reason if events else ""
        # As JSON, so that nothing in it can end the comment.
        told = f"# record {json.dumps(record.id)}, by {json.dumps(stopped)}: {json.dumps(why)}\n"
        if record.decision and record.decision.outcome in (Outcome.BLOCKED, Outcome.REVIEW):
            tests.append(told + _yaml([_case(record, record.decision)]))
        else:
            apart.append(told)
    text = _HEAD.format(count=len(tests))
    text += _yaml(
        {"apiVersion": "safegen/v1", "metadata": {"name": "false-alarms", "version": "1"}}
    )
    text += _import(policy)
    text += "".join(["tests:\n", *tests]) if tests else "tests: []\n"
    if apart:
        text += "# Stopped for what a detector saw in an image, which no prompt can test:\n"
        text += "".join(apart)
    return text


def _import(policy: str) -> str:
    shipped = (
        re.fullmatch(r"[a-z][a-z-]*", policy)
        and (files("safegen.policies") / f"{policy}.yaml").is_file()
    )
    return (
        _yaml({"imports": [policy]}) if shipped else _PATH + _yaml({"imports": [f"{policy}.yaml"]})
    )


def _case(record: Record, decision: Decision) -> dict[str, Any]:
    steered = any(rule.action == "steer" for rule in decision.rules)
    # No rule sees the user, and whoever gets the tests need not know them.
    kept_out = {"seed", "images", "user"}
    context = record.context.model_dump(exclude_defaults=True, exclude=kept_out)
    return {
        "scores": dict(record.scores.values),
        **({"facts": dict(record.scores.facts)} if record.scores.facts else {}),
        **({"context": context} if context else {}),
        "expect": (Outcome.STEERED if steered else Outcome.ALLOWED).value,
    }


def _yaml(value: Any) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    buffer = io.StringIO()
    yaml.dump(value, buffer)
    return buffer.getvalue()
