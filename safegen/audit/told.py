"""What a ledger's own lines tell of what is gone, and how old the rest is: read from them all.

What is deleted cannot be brought back, so it never rests on an index, which whoever can write the
ledger's folder can write too.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from safegen.audit.ledger import Ledger
from safegen.audit.ledger.erasures import ERASED
from safegen.audit.ledger.query import Placed, entry_of, lines
from safegen.audit.row import ms_of
from safegen.nouns import Event

PURGED = "purged"


@dataclass
class Told:
    """Keys that were erased, and segments that were purged; by segment, what is known of times.

    `oldest` is the earliest time of a request in it, in ms since 1970, and 0 if one cannot be read;
    `overdue` how many of them are from before a moment.
    """

    erased: set[str] = field(default_factory=set)
    purged: set[int] = field(default_factory=set)
    oldest: dict[int, int] = field(default_factory=dict)
    overdue: Counter[int] = field(default_factory=Counter)

    def oldest_but(self, gone: Collection[int]) -> int | None:
        """The earliest time of a request in the other segments; None if there is none."""
        return min((time for each, time in self.oldest.items() if each not in gone), default=None)


def told(ledger: Ledger, moment: datetime) -> Told:
    """What all lines of the ledger tell, each of them vouched for by the key that it is open with.

    Args:
        ledger: read from the beginning to the end.
        moment: requests from before it are overdue.

    Raises:
        LedgerTamperedError: a line does not follow, or was not signed with that key.
        LedgerError: one cannot be read.
    """
    found = Told()
    since = int(moment.timestamp() * 1000)
    for placed in lines(ledger.folder, check=ledger.check):
        _add(found, placed, since)
    return found


def _add(found: Told, placed: Placed, since: int) -> None:
    (segment, _), line, _ = placed
    what = line.record.get("what")
    if line.record.get("kind") != "event":
        time = ms_of(str(line.record.get("time")))
        found.oldest[segment] = min(time, found.oldest.get(segment, time))
        found.overdue[segment] += 0 < time < since
    elif what in (ERASED, PURGED):
        event = entry_of(line, f"line {line.seq}")
        assert isinstance(event, Event)  # noqa: S101 - its kind says so
        if what == ERASED:
            found.erased.add(str(event.details.get("key")))
        else:
            found.purged.add(int(event.details["segment"]))
