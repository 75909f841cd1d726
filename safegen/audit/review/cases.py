"""Overturned records as test cases for the policy, so that a false alarm is not raised again."""

import io
import json
from collections.abc import Iterable, Sequence

from ruamel.yaml import YAML

from safegen.audit.index import rules_of
from safegen.nouns import Decision, Event, Outcome, Record

# The ledger keeps a commitment to the prompt, not the prompt.
PLACEHOLDER = "PUT HERE THE PROMPT OF RECORD {id}, WHICH THE LEDGER DOES NOT KEEP"
_HEAD = """# {count} requests that were stopped and that a reviewer let pass.
# Replace each placeholder by the prompt, or by words of your own that stand for it.
# The prompt of a record is known to whoever asked; `Ledger.commit(prompt)` says whether it is it.
"""


def cases(overturned: Iterable[tuple[Record, Sequence[Event]]]) -> str:
    """The section `tests:` of a policy file, as YAML."""
    tests: list[str] = []
    apart: list[str] = []
    for record, events in overturned:
        stopped = ", ".join(rule for rule, stops in rules_of(record).items() if stops)
        why = events[-1].reason if events else ""
        # As JSON, so that nothing in it can end the comment.
        told = f"# record {json.dumps(record.id)}, by {json.dumps(stopped)}: {json.dumps(why)}\n"
        if record.decision and record.decision.outcome in (Outcome.BLOCKED, Outcome.REVIEW):
            tests.append(told + _case(record, record.decision))
        else:
            apart.append(told)
    text = _HEAD.format(count=len(tests)) + ("tests:\n" if tests else "tests: []\n")
    text += "".join(tests)
    if apart:
        text += "# Stopped for what a detector saw in an image, which no prompt can test:\n"
        text += "".join(apart)
    return text


def _case(record: Record, decision: Decision) -> str:
    steered = any(rule.action == "steer" for rule in decision.rules)
    context = record.context.model_dump(exclude_defaults=True, exclude={"seed", "images"})
    case = {
        "prompt": PLACEHOLDER.format(id=record.id),
        **({"context": context} if context else {}),
        "expect": (Outcome.STEERED if steered else Outcome.ALLOWED).value,
    }
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    buffer = io.StringIO()
    yaml.dump([case], buffer)
    return buffer.getvalue()
