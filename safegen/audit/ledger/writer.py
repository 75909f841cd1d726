"""`Ledger`: appends records, together with all other writers of the machine."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from safegen.arguments import as_path
from safegen.audit.ledger.erasures import finish_told
from safegen.audit.ledger.files import WriteLock, write_durably
from safegen.audit.ledger.format import TooLongError, canonical, segments
from safegen.audit.ledger.keys import (
    PRIVATE_KEY,
    Commitments,
    derived_key,
    make_private_key,
    own_private_key,
    public_pem,
)
from safegen.audit.ledger.own_events import clock_went_back, repaired
from safegen.audit.ledger.query import Place
from safegen.audit.ledger.standalone import PUBLIC_KEY
from safegen.audit.ledger.subjects import NAME as SUBJECTS
from safegen.audit.ledger.subjects import ForeignKeysError, SubjectKeys
from safegen.audit.ledger.tail import PENDING, Tail, UnsyncedError
from safegen.diagnostics import Diagnostics
from safegen.errors import LedgerError, LedgerTamperedError, OutputError
from safegen.forks import in_each_child
from safegen.nouns import Event, Record

_log = Diagnostics("safegen.ledger")
_SEGMENT_BYTES = 64 * 2**20
_LARGEST_COMMIT = 1024  # records
_LOCK_SECONDS = 30.0
_PATIENCE = 1.0  # seconds that a thread trusts others to write its record


@dataclass(frozen=True)
class Entry:
    """Where a record went: its number, counted from 0, and the hash that seals it (hex)."""

    seq: int
    hash: str


@dataclass(eq=False)
class _Ticket:
    """A record on its way to disk, and the thread that waits for it."""

    id: str
    data: bytes
    asleep: threading.Lock = field(default_factory=threading.Lock)
    entry: Entry | None = None
    error: LedgerError | None = None

    @property
    def settled(self) -> bool:
        """Whether it is known what became of it."""
        return self.entry is not None or self.error is not None

    def wake(self) -> None:
        """Let its thread look; whoever was interrupted may have done so before."""
        with suppress(RuntimeError):
            self.asleep.release()


class Ledger:
    """Appends records; each is on disk (fsync) before `append` returns.

    Any number of threads and processes of one machine may append to one folder: they share one
    chain. Records that wait at the same time are written together, with one signature and one
    sync: the first of the waiting threads leads, the others find theirs done. A process forked from
    one with an open ledger may append to it too.

    An exception that a signal's handler raises may come at any instant. So nothing but `with` says
    who writes, and who waits for another does so for a moment only, then looks for itself.
    """

    def __init__(
        self, folder: Path, key: Ed25519PrivateKey, subjects: Path, lock: WriteLock, tail: Tail
    ) -> None:
        """Use `Ledger.open`, which finds the end of the chain and says what can go wrong."""
        self.folder, self.subjects_at = folder, subjects
        self.commitments = Commitments(key)
        self._wrapping = derived_key(key, "subject keys")
        self._subjects: SubjectKeys | None = None
        self._lock = lock
        self._tail, self.check = tail, tail.check
        self._stopped = ""
        self._wait_for_none()
        in_each_child(self, Ledger._begin_again)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        key: str | Path | None = None,
        subjects: str | Path | None = None,
        segment_bytes: int = _SEGMENT_BYTES,
    ) -> Self:
        """Open a ledger for writing and mend what a crash left; folder and key are made if missing.

        Only the end of the chain is looked at; `verify` looks at all of it. Keys of subjects that
        the ledger says are erased are deleted, if they are there; where that fails, `subjects`
        says so until it does not.

        Args:
            folder: where the ledger lives.
            key: the private key (PEM, Ed25519). By default `key.pem` in the folder, which protects
                against whoever can change the records but not read that file; keep it elsewhere
                to protect against whoever has the folder.
            subjects: the keys that encrypt what is kept of people, made when first needed; by
                default `subjects.sqlite` in the folder. Who keeps copies of the folder can still
                erase people if this file stands elsewhere.
            segment_bytes: size after which a new segment file begins.

        Raises:
            InputError: what should be a path is none, or empty.
            OutputError: the folder or the key cannot be written.
            LedgerError: this key is not the one that wrote it, or another writer hangs.
            LedgerTamperedError: the end of the chain is not what was written.
        """
        folder = as_path("folder", folder)
        private = folder / PRIVATE_KEY if key is None else as_path("key", key)
        keys = folder / SUBJECTS if subjects is None else as_path("subjects", subjects)
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            lock = WriteLock(folder)
            with ExitStack() as on_error:
                on_error.callback(lock.close)
                with lock.held(_LOCK_SECONDS):
                    signing = _signing_key(folder, private)
                    tail = Tail(folder, signing, segment_bytes)
                    on_error.callback(tail.close)
                    tail.refresh()
                    ledger = cls(folder, signing, keys, lock, tail)
                    ledger._write([])  # what there is to tell of an earlier crash
                    if not (folder / PUBLIC_KEY).exists():
                        write_durably(folder / PUBLIC_KEY, public_pem(signing))
                on_error.callback(ledger.close)
                try:
                    if keys.exists():
                        ledger.subjects  # noqa: B018 - what is told to be erased goes
                except (OutputError, ForeignKeysError) as error:  # a policy may encrypt nothing
                    _log.error("nothing can be encrypted", error=str(error))
                on_error.pop_all()
            return ledger
        except OSError as error:
            raise OutputError(
                f"cannot write the ledger {folder}: {error}", "choose a folder you can write to"
            ) from error

    @property
    def subjects(self) -> SubjectKeys:
        """The keys that encrypt what is kept of people, without those that are told to be erased.

        Raises:
            OutputError: their file cannot be opened or made, or such a key not be deleted.
            LedgerError: the ledger was closed, the file holds another ledger's keys, or a line that
                tells of an erasing was not signed.
        """
        if (known := self._subjects) is not None:
            return known
        end = self._end()
        with self._mutex:
            if self._stopped == _CLOSED:
                raise LedgerError(f"the ledger {self.folder} was closed", "open it again")
            if self._subjects is None:
                anew = not self.subjects_at.exists()  # a file can be put back at any time
                store = SubjectKeys.open(self.subjects_at, self._wrapping, end.segment)
                with ExitStack() as on_error:
                    on_error.callback(store.close)
                    if not anew:
                        finish_told(self.folder, store, end, self.check)
                    on_error.pop_all()
                self._subjects = store
            return self._subjects

    @property
    def existing_subjects(self) -> SubjectKeys | None:
        """The same, for who encrypts nothing: None where there is no file, and none is made.

        A file that holds another ledger's keys is none of this one, and left as it is.

        Raises:
            OutputError: their file cannot be opened.
            LedgerError: the ledger was closed.
        """
        with suppress(ForeignKeysError):
            return self.subjects if self.subjects_at.exists() else None
        return None

    def append(self, record: Record | Event) -> Entry:
        """Write a record and return once it is durable.

        Raises:
            LedgerError: it could not be written. A full disk can be mended while the ledger is
                open; where the disk cannot say what it holds, or the chain is not what was
                written, the ledger refuses everything until it is opened anew.
        """
        ticket = _ticket(record)
        ticket.asleep.acquire()
        try:
            with self._mutex:
                self._refuse_if_stopped()
                leads = not self._waiting
                self._waiting.append(ticket)
            if not leads:
                ticket.asleep.acquire(timeout=_PATIENCE)
            if not ticket.settled:
                with self._turn:
                    self._lead(ticket)
        except BaseException:
            self._leave(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        assert ticket.entry is not None  # noqa: S101 - whoever leads settles every ticket
        return ticket.entry

    def begin_segment(self) -> None:
        """Write to a new segment from now on, so that the one so far can be purged.

        Raises:
            LedgerError: another writer hangs, the chain is not what was written, or the ledger
                takes no more records.
            OutputError: the segment cannot be made.
        """
        self._end(begin=True)

    def close(self) -> None:
        """Write what waits to be written, and close the files."""
        with self._turn:
            while self._waiting and not self._stopped:
                self._commit()
            with self._mutex:
                self._stopped = _CLOSED
                subjects, self._subjects = self._subjects, None
            self._tail.sync()
            self._close_files()
            if subjects is not None:
                subjects.close()

    def __repr__(self) -> str:
        return f"<Ledger {str(self.folder)!r}>"

    def __enter__(self) -> Self:
        """Itself; leaving the block closes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _end(self, *, begin: bool = False) -> Place:
        """Where the next line goes by now, whoever wrote the last; `begin`: in a new segment."""
        with self._turn:
            self._refuse_if_stopped()
            try:
                with self._lock.held(_LOCK_SECONDS):
                    self._tail.refresh()
                    if begin:
                        self._tail.begin_segment()
                    return self._tail.end
            except OSError as error:
                raise OutputError(f"cannot write the ledger {self.folder}: {error}") from error

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise LedgerError(
                f"the ledger {self.folder} takes no records: {self._stopped}", "open it again"
            )

    def _leave(self, ticket: _Ticket) -> None:
        """Take back what waits to be written; if it was to lead, the next one does."""
        with self._mutex:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if self._waiting:
                self._waiting[0].wake()
        if self._turn.acquire(blocking=False):  # nobody writes, so nobody may keep others from it
            try:
                self._lock.give_back()
            finally:
                self._turn.release()

    def _lead(self, ticket: _Ticket) -> None:
        """Write all that wait, this one among them. Needs the turn."""
        with self._mutex:
            waits = ticket in self._waiting
        if waits:
            self._commit()
        elif not ticket.settled:  # who took it was interrupted
            ticket.error = self._unwritten(ticket, _INTERRUPTED, "try again")

    def _commit(self) -> None:
        """Write all that wait, and tell their threads. Needs the turn."""
        taken: list[_Ticket] = []
        reason, mend = _INTERRUPTED, "try again"
        try:
            self._refuse_if_stopped()
            with self._lock.held(_LOCK_SECONDS):
                self._tail.refresh()
                taken = self._take()
                entries = self._write([ticket.data for ticket in taken])
                for ticket, entry in zip(taken, entries, strict=True):
                    ticket.entry = entry
        except UnsyncedError as error:
            reason, mend = f"the disk failed: {error}", "mend the disk, then open the ledger again"
            self._stopped = reason
        except OSError as error:
            reason, mend = str(error), "mend the disk (full?) or the folder's permissions"
        except LedgerError as error:
            reason, mend = error.message, error.mend or mend
            if isinstance(error, LedgerTamperedError):
                self._stopped = reason
        finally:
            for ticket in taken or self._take():
                if ticket.entry is None:
                    ticket.error = self._unwritten(ticket, reason, mend)
                ticket.wake()

    def _unwritten(self, ticket: _Ticket, reason: str, mend: str) -> LedgerError:
        return LedgerError(f"cannot write the record {ticket.id} to {self.folder}: {reason}", mend)

    def _take(self) -> list[_Ticket]:
        with self._mutex:
            taken = self._waiting[:_LARGEST_COMMIT]
            del self._waiting[:_LARGEST_COMMIT]
            if self._waiting:
                self._waiting[0].wake()  # to lead the rest
        return taken

    def _write(self, records: Sequence[bytes]) -> list[Entry]:
        """Write these records, after the events that the ledger has to tell of itself."""
        gaps = self._tail.gaps()
        events = [*map(repaired, gaps), *clock_went_back(self._tail.last_commit())]
        told = [canonical(event.model_dump(mode="json")) for event in events]
        written = self._tail.write([*told, *records]) if told or records else []
        for gap in gaps:
            gap.file.replace(gap.file.with_name(gap.file.name.removesuffix(PENDING)))
        return [Entry(*each) for each in written[len(told) :]]

    def _wait_for_none(self) -> None:
        self._mutex = threading.Lock()  # of what waits, for a moment
        self._turn = threading.Lock()  # to write
        self._waiting: list[_Ticket] = []

    def _close_files(self) -> None:
        self._tail.close()
        self._lock.close()

    def _begin_again(self) -> None:
        """In a forked child: the threads that waited are the parent's, as is what lock it holds."""
        self._wait_for_none()
        self._close_files()
        if self._subjects is not None:
            _OF_PARENTS.append(self._subjects)  # to close it here would take the parent's locks
            self._subjects = None


_CLOSED = "it was closed"
_INTERRUPTED = "a write was interrupted"
_OF_PARENTS: list[SubjectKeys] = []


def _ticket(record: Record | Event) -> _Ticket:
    try:
        return _Ticket(record.id, canonical(record.model_dump(mode="json")))
    except TooLongError as error:  # not what led to it: these words are SafeGen's, and are logged
        raise LedgerError(
            f"the record {record.id} is too long: {error}",
            "ask for fewer images in a request, or shorten what is kept of it (prompt, context, "
            "settings of the sampler)",
        ) from None
    except ValueError as error:
        raise LedgerError(
            f"the record {record.id} has no canonical JSON: {error}",
            "integers (seeds, say) below 2**53, finite numbers, text without lone surrogates",
        ) from error


def _signing_key(folder: Path, path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        if segments(folder):
            raise LedgerError(
                f"{folder} holds records, but the key that signed them is not at {path}",
                "give that key, or start a new folder",
            )
        make_private_key(path)
    return own_private_key(folder, path)
