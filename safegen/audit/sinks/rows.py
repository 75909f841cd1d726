"""The tables in which records lie flat, for databases and files alike."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from safegen.audit.sinks.base import Item
from safegen.nouns import Event, Record

Row = dict[str, Any]
# Table -> column -> kind. Each line of the ledger is one row of `records` or of `events`; the rest
# belongs to the record with the same ledger and seq.
TABLES: Mapping[str, Mapping[str, str]] = {
    "records": {
        "seq": "integer",
        "id": "text",
        "time": "time",
        "outcome": "text",
        "tenant": "text",
        "region": "text",
        "age_band": "text",
        "surface": "text",
        "policy": "text",
        "policy_digest": "text",
        "reason": "text",
        "steering": "text",
        "model_digest": "text",
        "images": "integer",
        "error": "text",
        "prompt_commitment": "text",
        "safegen": "text",
        "hash": "text",
        "record": "json",
    },
    "images": {
        "seq": "integer",
        "image": "integer",
        "seed": "integer",
        "outcome": "text",
        "reason": "text",
        "sha256": "text",
        "held": "text",
        "attempts": "integer",
        "actions": "text",
    },
    "findings": {
        "seq": "integer",
        "image": "integer",
        "number": "integer",
        "detector": "text",
        "label": "text",
        "score": "real",
        "box_left": "real",
        "box_top": "real",
        "box_right": "real",
        "box_bottom": "real",
        "error": "text",
    },
    "rules": {
        "seq": "integer",
        "number": "integer",
        "rule": "text",
        "action": "text",
        "reason": "text",
    },
    "events": {
        "seq": "integer",
        "id": "text",
        "time": "time",
        "what": "text",
        "actor": "text",
        "about": "text",
        "reason": "text",
        "safegen": "text",
        "hash": "text",
        "record": "json",
    },
}
KEYS = {
    "records": ("seq",),
    "images": ("seq", "image"),
    "findings": ("seq", "image", "number"),
    "rules": ("seq", "number"),
    "events": ("seq",),
}


def rows_of(items: Sequence[Item]) -> dict[str, list[Row]]:
    """What each table gets of these lines; times as `datetime`, json as dict."""
    tables: dict[str, list[Row]] = {table: [] for table in TABLES}
    for item in items:
        if isinstance(item.entry, Event):
            tables["events"].append(_event(item, item.entry))
        else:
            tables["records"].append(_record(item, item.entry))
            tables["images"].extend(_images(item.line.seq, item.entry))
            tables["findings"].extend(_findings(item.line.seq, item.entry))
            tables["rules"].extend(_rules(item.line.seq, item.entry))
    return tables


def moment(time: str) -> datetime | None:
    """The moment that a record tells, in UTC; None if it tells none."""
    try:
        told = datetime.fromisoformat(time)
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _record(item: Item, record: Record) -> Row:
    context, decision = record.context, record.decision
    return {
        "seq": item.line.seq,
        "id": record.id,
        "time": moment(record.time),
        "outcome": record.outcome.value,
        "tenant": context.tenant,
        "region": context.region,
        "age_band": context.age_band,
        "surface": context.surface,
        "policy": decision.policy if decision else None,
        "policy_digest": decision.policy_digest if decision else None,
        "reason": decision.reason if decision else None,
        "steering": record.steering.status,
        "model_digest": record.model_digest,
        "images": len(record.images),
        "error": record.error,
        "prompt_commitment": record.prompt_commitment,
        "safegen": record.safegen,
        "hash": item.line.hash,
        "record": item.line.record,
    }


def _images(seq: int, record: Record) -> Iterator[Row]:
    for number, image in enumerate(record.images):
        yield {
            "seq": seq,
            "image": number,
            "seed": image.seed,
            "outcome": image.outcome.value,
            "reason": image.reason,
            "sha256": image.sha256,
            "held": image.held,
            "attempts": image.attempts,
            "actions": "; ".join(image.actions),
        }


def _findings(seq: int, record: Record) -> Iterator[Row]:
    for image, looked in enumerate(record.images):
        for number, finding in enumerate(looked.findings):
            left, top, right, bottom = finding.box or (None,) * 4
            yield {
                "seq": seq,
                "image": image,
                "number": number,
                "detector": finding.detector,
                "label": finding.label,
                "score": finding.score,
                "box_left": left,
                "box_top": top,
                "box_right": right,
                "box_bottom": bottom,
                "error": finding.error,
            }


def _rules(seq: int, record: Record) -> Iterator[Row]:
    for number, rule in enumerate(record.decision.rules if record.decision else ()):
        yield {
            "seq": seq,
            "number": number,
            "rule": rule.id,
            "action": rule.action,
            "reason": rule.reason,
        }


def _event(item: Item, event: Event) -> Row:
    return {
        "seq": item.line.seq,
        "id": event.id,
        "time": moment(event.time),
        "what": event.what,
        "actor": event.actor,
        "about": event.about,
        "reason": event.reason,
        "safegen": event.safegen,
        "hash": item.line.hash,
        "record": item.line.record,
    }
