"""Erasing a person: the ledger says so first, then the key goes that encrypts what it holds."""

from collections.abc import Collection

from safegen.audit.filters import Filters
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.ledger.event import happened
from safegen.audit.ledger.masking import key_of, subject_of
from safegen.audit.ledger.query import SingleLines
from safegen.audit.search import every
from safegen.audit.told import ERASED
from safegen.errors import LedgerError
from safegen.nouns import Details, Frozen


class Erased(Frozen):
    """What became of a subject's key: `now` deleted, or at `time` before, or there never was one.

    One that is said to be lost counts as deleted. `records` counts the records of the subject,
    encrypted or not.
    """

    subject: str
    now: bool
    time: str
    records: int


def erase(
    ledger: Ledger,
    index: Index,
    subject: str,
    *,
    actor: str,
    reason: str = "",
    lost: bool = False,
) -> Erased:
    """Delete a subject's key, and what a crash kept an earlier call from deleting.

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
        OutputError: the key could not be deleted; the next call does it.
    """
    finish(ledger, index)
    missing = missing_keys(ledger, index, _keys_of(index, subject), lost=lost)
    details: list[Details] = [{"key": key, "lost": True} for key in sorted(missing)]
    store = ledger.existing_subjects
    key = store.of(subject) if store else ""
    if key:
        details.append({"key": key})
    for each in details:
        ledger.append(happened(ERASED, actor=actor, about=subject, reason=reason, details=each))
    if store and key:
        store.delete([key])
    index.update()
    told = [event for _, event in index.events_about(subject) if event.what == ERASED]
    return Erased(
        subject=subject,
        now=bool(details),
        time=told[-1].time if told else "",
        records=index.count_of(subject),
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
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise LedgerError(
            f"the key {min(missing)}{more} is not in {ledger.subjects_at}"
            f"{'' if store else ' (no such file)'}: records are encrypted under it, and no event "
            "says that it was erased",
            "give the file that holds it: --subjects FILE; if none is left: --keys-lost",
        )
    return missing


def _keys_of(index: Index, subject: str) -> set[str]:
    """The ids of the keys that encrypt the records of a subject."""
    if not index.count_of(subject):
        return set()
    found = (index.record(row.seq)[1] for row in every(index, Filters(subject=subject)))
    return {key_of(record) for record in found if subject_of(record) == subject} - {""}


def _told(index: Index) -> set[str]:
    """The ids of the keys that the ledger says are erased."""
    return {str(event.details.get("key")) for _, event in index.events(what=ERASED, limit=-1)}
