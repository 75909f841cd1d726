"""Erasing a person: the ledger says so first, then the key goes that encrypts what it holds."""

from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.ledger.event import happened
from safegen.nouns import Frozen

WHAT = "erased"


class Erased(Frozen):
    """What became of a subject's key: `now` deleted, or at `time` before, or there never was one.

    `records` counts the records of the subject, encrypted or not.
    """

    subject: str
    now: bool
    time: str
    records: int


def erase(ledger: Ledger, index: Index, subject: str, *, actor: str, reason: str = "") -> Erased:
    """Delete a subject's key, and what a crash kept an earlier call from deleting.

    Args:
        ledger: open for writing.
        index: of the same ledger.
        subject: `hmac-sha256:…` of a user, or `record:ID` where a record has a key of its own.
        actor: who does it.
        reason: why, without naming the person.

    Raises:
        LedgerError: the ledger took the event not; nothing was deleted.
        OutputError: the key could not be deleted; the next call does it.
    """
    finish(ledger, index)
    if key := ledger.subjects.of(subject):
        event = happened(WHAT, actor=actor, about=subject, reason=reason, details={"key": key})
        ledger.append(event)
        ledger.subjects.delete([key])
        index.update()
    told = [event for _, event in index.events_about(subject) if event.what == WHAT]
    return Erased(
        subject=subject,
        now=bool(key),
        time=told[-1].time if told else "",
        records=index.count_of(subject),
    )


def finish(ledger: Ledger, index: Index) -> None:
    """Delete the keys that the ledger says are erased and that are still there.

    Raises:
        OutputError: they cannot be deleted.
    """
    index.update()
    told = index.events(what=WHAT, limit=-1)
    if told:
        ledger.subjects.delete([str(event.details.get("key")) for _, event in told])
