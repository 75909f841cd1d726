"""Ledgers to purge, and how."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from ledgers import START, record

from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.ledger.format import segment_name
from safegen.audit.purge import Purged, purge
from safegen.nouns import Outcome

DAYS = 5


def day(number: float) -> datetime:
    """The beginning of a day, counted from that of the first record."""
    return START + timedelta(days=number)


def days(folder: Path, count: int = DAYS) -> Path:
    """A ledger with two records a day, each day in a segment of its own, and a day that begins."""
    with Ledger.open(folder) as ledger:
        for number in range(count):
            for half in range(2):
                kind = Outcome.BLOCKED if half else Outcome.ALLOWED
                ledger.append(record(2 * number + half, kind, hours=24 * number + 12 * half))
            ledger.begin_segment()
    for number in range(count):
        aged(folder, number, day(number + 0.5))
    return folder


def aged(folder: Path, number: int = 0, when: datetime = START) -> None:
    """Let a segment be one that was last written to then."""
    os.utime(folder / segment_name(number), 2 * (when.timestamp(),))


def purged(folder: Path, before: datetime, **more: object) -> Purged:
    """What comes of a purge."""
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        return purge(ledger, index, before, actor="os:ann", reason="old", **more)  # type: ignore[arg-type]
