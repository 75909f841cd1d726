"""Erasing a person: the ledger says so first, then the key goes that encrypts what it holds."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from safegen.audit.filters import Filters
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.ledger.erasures import ERASED
from safegen.audit.ledger.event import happened
from safegen.audit.ledger.masking import keeps_plain_text, key_of, subject_of
from safegen.audit.ledger.query import SingleLines
from safegen.audit.search import every
from safegen.errors import LedgerError
from safegen.nouns import Details, Frozen, Record


class Erased(Frozen):
    """What became of a subject's key: `now` deleted, or at `time` before, or there never was one.

    One that is said to be lost counts as deleted. `records` counts those of the subject,
    `encrypted` the ones that keep something so, and `readable` the ones that keep something in
    plain text, which no erasing takes away.
    """

    subject: str
    now: bool
    time: str
    records: int
    encrypted: int
    readable: int


def erase(
    ledger: Ledger,
    index: Index,
    subject: str,
    *,
    actor: str,
    reason: str = "",
    lost: bool = False,
) -> Erased:
    """Delete a subject's keys, and what a crash kept an earlier call from deleting.

    From the first moment on, the user's requests are encrypted under another key: what comes
    between event and deletion takes nothing with it that is written meanwhile.

    Args:
        ledger: open for writing.
        index: of the same ledger.
        subject: `hmac-sha256:…` of a user, or `record:ID` where a record has a key of its own.
        actor: who does it.
        reason: why, without naming the person.
        lost: no file is left that holds the keys which are missing; they count as erased.

    Raises:
        LedgerError: the ledger took the event not, or records are encrypted under a key that is
            missing; nothing was deleted.
        OutputError: the key could not be deleted; the next call does it, or who next opens the
            ledger for writing.
    """
    finish(ledger, index)
    mine = _Kept()
    for record in _records_of(index, subject):
        mine.add(record)
    missing = missing_keys(ledger, index, mine.keys, lost=lost)
    details: list[Details] = [{"key": key, "lost": True} for key in sorted(missing)]
    store = ledger.existing_subjects
    keys = store.retire(subject) if store else []
    details += [{"key": key} for key in keys]
    for each in details:
        ledger.append(happened(ERASED, actor=actor, about=subject, reason=reason, details=each))
    if store and keys:
        store.delete(keys)
    index.update()
    told = [event for _, event in index.events_about(subject) if event.what == ERASED]
    return Erased(
        subject=subject,
        now=bool(details),
        time=told[-1].time if told else "",
        records=mine.records,
        encrypted=mine.encrypted,
        readable=mine.readable,
    )


def finish(ledger: Ledger, index: Index, told: Collection[str] = ()) -> None:
    """Delete the keys that the ledger says are erased and that are still there.

    Args:
        ledger: whose key signed what says so.
        index: knows where that stands; from now on nothing else is read by it.
        told: the ids of further such keys.

    Raises:
        LedgerError: something else stands where the index says that it does; nothing was deleted.
        OutputError: they cannot be deleted.
    """
    index.update()
    index.written = SingleLines(ledger.folder, ledger.check)  # whatever public.pem holds
    told, store = {*told, *_told(index)}, ledger.existing_subjects
    if told and store:
        store.delete(told)


def missing_keys(
    ledger: Ledger, index: Index, named: Collection[str], *, lost: bool = False
) -> set[str]:
    """Those of the keys that records name which are not there, though nothing says they are erased.

    Raises:
        LedgerError: there are some, and nobody says that they are `lost`.
    """
    store = ledger.existing_subjects
    missing = store.lacking(named) if store else set(named)
    if missing:
        index.update()  # another process that erases one tells of it first
        missing -= _told(index)
    if missing and not lost:
        where = ledger.subjects_at
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise LedgerError(
            f"the key {min(missing)}{more} is not in {where}"
            f"{'' if where.exists() else ' (no such file)'}: records are encrypted under it, and "
            "no event says that it was erased",
            "give the file that holds it: --subjects FILE; if none is left: --keys-lost",
        )
    return missing


@dataclass
class _Kept:
    """How many records a subject has, what they keep, and the ids of the keys that encrypt it."""

    records: int = 0
    encrypted: int = 0
    readable: int = 0
    keys: set[str] = field(default_factory=set)

    def add(self, record: Record) -> None:
        """Count one."""
        self.records += 1
        self.readable += keeps_plain_text(record)
        if key := key_of(record):
            self.encrypted += 1
            self.keys.add(key)


def _records_of(index: Index, subject: str) -> Iterator[Record]:
    """The records that are the subject's by their own words, whatever the index says of others."""
    if index.count_of(subject):
        found = (index.record(row.seq)[1] for row in every(index, Filters(subjects=(subject,))))
        yield from (record for record in found if subject_of(record) == subject)


def _told(index: Index) -> set[str]:
    """The ids of the keys that the ledger says are erased."""
    return {str(event.details.get("key")) for _, event in index.events(what=ERASED, limit=-1)}
