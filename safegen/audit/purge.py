"""Retention: whole segments that are older go; a signed tombstone each proves the rest without.

Each step is told in the ledger before it is done, and a run that was cut off is completed by the
next. Only a ledger that verifies is purged, for what was done to it could not be found afterwards;
and what goes is what its lines say, all of them read, and not what an index does.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from safegen.audit.erase import finish, missing_keys
from safegen.audit.held import ImageStore
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger, verify
from safegen.audit.ledger.event import happened
from safegen.audit.ledger.files import WriteLock, sync_folder
from safegen.audit.ledger.format import Line, decode, number_of, segments
from safegen.audit.ledger.masking import key_of
from safegen.audit.ledger.query import entry_of
from safegen.audit.told import PURGED, Told, told
from safegen.errors import LedgerError, OutputError
from safegen.nouns import Details, Event, Frozen, Record

_LOCK_SECONDS = 0.2


class Purged(Frozen):
    """What went, or would go: segments with so many lines, held originals, keys of subjects.

    `held` counts the originals that the records name, `images` those of them that were deleted.
    `overdue` counts the requests that stay although they are more than a day older than they may
    be, because of the segment `kept_by`: the first that stays, last used at `last_used`.
    """

    segments: int = 0
    records: int = 0
    held: int = 0
    images: int = 0
    keys: int = 0
    overdue: int = 0
    kept_by: str = ""
    last_used: str = ""


@dataclass
class _Segment:
    """What a tombstone tells of a segment, and what goes with it."""

    path: Path
    sha256: str = ""
    first: int = -1
    last: Line | None = None
    latest: float = 0.0
    held: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    @property
    def number(self) -> int:
        """Its number."""
        return number_of(self.path)

    def is_older(self, than: datetime) -> bool:
        """Whether all that is in it is, and lay there for that long; an empty one is not."""
        return self.last is not None and self.latest < than.timestamp()

    @property
    def count(self) -> int:
        """How many lines are in it."""
        return self.last.seq - self.first + 1 if self.last else 0


def purge(
    ledger: Ledger,
    index: Index,
    before: datetime,
    *,
    actor: str,
    reason: str = "",
    images: ImageStore | None = None,
    dry_run: bool = False,
    lost: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Purged:
    """Delete the segments from the beginning on whose last record is older.

    Clocks can be wrong, and what is deleted is gone: a segment stays, too, that was written to
    later than that, and a time in the future says nothing. With the segments go the held originals
    that their records name, and the keys of subjects that have no later record.

    Args:
        ledger: open for writing.
        index: of the same ledger.
        before: what is older goes.
        actor: who does it.
        reason: why.
        images: where held originals are; one that is held again later stays, and what killed writes
            left there goes too.
        dry_run: only say what would go.
        lost: no file is left that holds the keys of records which are missing.
        progress: called with segments done, and how many there are.

    Raises:
        LedgerTamperedError: the ledger does not verify; nothing was deleted.
        LedgerError: a key is missing under which a record that would go is encrypted, so that it
            would stay where it is, or another purge is at work: nothing was deleted. Or the ledger
            took a tombstone not, or cannot be read: the rest stays.
        OutputError: something cannot be deleted; the next call goes on.
    """
    with nullcontext() if dry_run else _alone(ledger.folder):
        return _purge(ledger, index, before, actor, reason, images, dry_run, lost, progress)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only purge on this machine that works on the ledger."""
    lock = WriteLock(folder, "purge.lock")
    with ExitStack() as held:
        held.callback(lock.close)
        try:
            held.enter_context(lock.held(_LOCK_SECONDS))
        except LedgerError as error:
            raise LedgerError(
                f"another purge is at work ({error.message})", "wait until it is done"
            ) from error
        except OSError as error:
            raise OutputError(
                f"cannot write the ledger {folder}: {error}", "choose a folder you can write to"
            ) from error
        yield


def _purge(
    ledger: Ledger,
    index: Index,
    before: datetime,
    actor: str,
    reason: str,
    images: ImageStore | None,
    dry_run: bool,
    lost: bool,
    progress: Callable[[int, int], None],
) -> Purged:
    verify(ledger.folder)
    index.update()
    known = told(ledger, before - timedelta(days=1))  # a day begins a segment
    if not dry_run:
        finish(ledger, index, known.erased)  # what tells of it may go
    gone: list[_Segment] = []
    stays: _Segment | None = None
    if not dry_run and all(_read(path).is_older(before) for path in segments(ledger.folder)[-1:]):
        ledger.begin_segment()  # the tombstones must not stand in one that goes
    files = segments(ledger.folder)
    for number, path in enumerate(files):
        progress(number, len(files))
        segment = _read(path)
        if segment.number not in known.purged and not segment.is_older(before):
            stays = segment
            break
        gone.append(segment)
    missing_keys(ledger, index, set[str]().union(*(each.keys for each in gone)), lost=lost)
    done = Purged(
        segments=len(gone),
        records=sum(segment.count for segment in gone),
        held=len(set[str]().union(*(segment.held for segment in gone))),
    )
    if stays is not None:
        done = done.model_copy(update=_kept_by(stays, known))
    if dry_run:
        return done
    if stays is not None and (store := ledger.existing_subjects):
        store.set_heard(max(store.heard, stays.number))  # `finish` did what those before tell
    deleted = 0
    for segment in gone:
        if segment.number not in known.purged:
            ledger.append(_tombstone(segment, actor, reason))
        deleted += images.delete(segment.held, before.timestamp()) if images else 0
        _delete(segment)
    if images:
        images.clear(before.timestamp())
    keys = _drop_keys(ledger, index, before, known.oldest_but({each.number for each in gone}))
    return done.model_copy(update={"images": deleted, "keys": keys})


def _kept_by(segment: _Segment, known: Told) -> dict[str, object]:
    """What is overdue in a segment that stays and in those after it."""
    overdue = sum(count for number, count in known.overdue.items() if number >= segment.number)
    if not overdue:
        return {}
    used = datetime.fromtimestamp(segment.latest, UTC).isoformat(timespec="seconds")
    return {"overdue": overdue, "kept_by": segment.path.name, "last_used": used}


def _read(path: Path) -> _Segment:
    """A segment of a ledger that verifies."""
    segment, digest = _Segment(path), hashlib.sha256()
    try:
        with path.open("rb") as file:
            segment.latest = os.fstat(file.fileno()).st_mtime
            for data in file:
                digest.update(data)
                if data.endswith(b"\n"):
                    _add(segment, decode(data))
    except (OSError, ValueError) as error:
        mend = "is another purge at work? else run: safegen audit verify"
        raise LedgerError(f"cannot read {path}: {error}", mend) from error
    segment.sha256 = digest.hexdigest()
    return segment


def _add(segment: _Segment, line: Line) -> None:
    entry = entry_of(line, f"line {line.seq} of {segment.path}")
    segment.first = line.seq if segment.last is None else segment.first
    segment.last = line
    segment.latest = max(segment.latest, _when(entry))
    if isinstance(entry, Record):
        segment.held |= {image.held for image in entry.images if image.held}
        segment.keys |= {key_of(entry)} - {""}


def _when(entry: Record | Event) -> float:
    """Seconds since 1970; 0 for a time that cannot be, which leaves when the file was written."""
    try:
        when = datetime.fromisoformat(entry.time).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return when if when <= time.time() else 0.0


def _tombstone(segment: _Segment, actor: str, reason: str) -> Event:
    assert segment.last is not None  # noqa: S101 - an empty segment is not older than anything
    details: Details = {
        "segment": segment.number,
        "first": segment.first,
        "last": segment.last.seq,
        "count": segment.count,
        "hash": segment.last.hash,
        "sha256": segment.sha256,
    }
    return happened(PURGED, actor=actor, reason=reason, details=details)


def _delete(segment: _Segment) -> None:
    """Delete the file, and what crashes cut off in it."""
    folder = segment.path.parent
    try:
        for path in (*folder.glob(f"{segment.path.stem}.torn-*"), segment.path):
            with suppress(FileNotFoundError):
                path.unlink()
        sync_folder(folder)
    except OSError as error:
        raise OutputError(
            f"cannot delete {segment.path}: {error.strerror}",
            "mend the folder's permissions; the next purge goes on",
        ) from error


def _drop_keys(ledger: Ledger, index: Index, before: datetime, oldest: int | None) -> int:
    """Delete the keys of subjects that have no record any more; `oldest` is that of a request."""
    index.update()
    store = ledger.existing_subjects
    if store is None:
        return 0
    # The index knows what was written meanwhile; what else it says can only keep more keys.
    times = [each for each in (oldest, index.oldest()) if each is not None]
    since = datetime.fromtimestamp(min(times) / 1000, UTC) if times else before
    return store.delete(store.unused_since(since.date().isoformat()))
