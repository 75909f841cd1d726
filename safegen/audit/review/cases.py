"""Overturned records as test cases for the policy, so that a false alarm is not raised again."""

import json
from collections.abc import Iterable
from typing import Any

from safegen.audit.aspects import rules_of
from safegen.nouns import Decision, Outcome, Record
from safegen.policy.casefile import case_file, is_shipped

_HEAD = (
    "{count} requests that the policy stopped and that a reviewer let pass.",
    "`safegen policy test` with this file fails for each until the policy lets it pass.",
    "They are decided from the scores that were recorded: no prompt is put here, also where the",
    "ledger keeps it. Where you mend a list or a classifier and not a rule, put `prompt:` in place",
    "of `scores` and `facts`.",
)


def cases(policy: str, overturned: Iterable[Record]) -> str:
    """A policy file that imports the policy and tests it.

    Args:
        policy: name of the policy that decided about the records.
        overturned: records.
    """
    tests: list[tuple[str, dict[str, Any]]] = []
    apart: list[str] = []
    for record in overturned:
        stopped = ", ".join(rule for rule, stops in rules_of(record).items() if stops)
        # As JSON, so that nothing in it can end the comment. What the reviewer gave as a reason may
        # name people, and stays in the ledger.
        told = f"record {json.dumps(record.id)}, by {json.dumps(stopped)}"
        if record.decision and record.decision.outcome.stops:
            tests.append((told, _case(record, record.decision)))
        else:
            apart.append(told)
    return case_file(
        "false-alarms",
        policy if is_shipped(policy) else f"{policy}.yaml",
        tests,
        head=[line.format(count=len(tests)) for line in _HEAD],
        foot=["Stopped for what a detector saw in an image, which no prompt can test:", *apart]
        if apart
        else (),
    )


def _case(record: Record, decision: Decision) -> dict[str, Any]:
    steered = any(rule.action == "steer" for rule in decision.rules)
    # No rule sees the user, and whoever gets the tests need not know them.
    kept_out = {"seed", "images", "user"}
    context = record.context.model_dump(exclude_defaults=True, exclude=kept_out)
    # What a test leaves out is 0 and false: so is what the policy may know no longer.
    facts = {name: True for name, holds in record.scores.facts.items() if holds}
    return {
        "scores": {name: value for name, value in record.scores.values.items() if value},
        **({"facts": facts} if facts else {}),
        **({"context": context} if context else {}),
        "expect": (Outcome.STEERED if steered else Outcome.ALLOWED).value,
    }
