"""The end of the chain as one process sees it: found, mended and written under the write lock."""

import os
import re
import stat
import time
from collections.abc import Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from safegen.audit.ledger.files import sync_folder, write_durably
from safegen.audit.ledger.format import (
    CHECKPOINT,
    GENESIS,
    VERIFY,
    Checkpoint,
    chain,
    check_with,
    encode_checkpoint,
    number_of,
    segment_name,
    segments,
)
from safegen.audit.ledger.query import Place
from safegen.audit.ledger.standalone import (
    LONGEST_LINE,
    PUBLIC_KEY,
    Line,
    line_statement,
    parse_checkpoint,
    parse_line,
)
from safegen.diagnostics import Diagnostics
from safegen.errors import LedgerTamperedError, Tampering
from safegen.files import open_or_make

_log = Diagnostics("safegen.ledger")
_CHECKPOINT_SYNCED_EVERY = 1.0  # seconds
_DAY = 86_400  # seconds
PENDING = ".pending"  # ends the name of what was set aside until an event tells of it
_ASIDE = re.compile(rf"[0-9]{{8,9}}\.torn-[0-9a-f]{{16}}{re.escape(PENDING)}")
_SIGNED = re.compile(rb',"signature":"[0-9a-f]{128}"\}\n')


class Gap(NamedTuple):
    """Bytes that stood after the last commit, set aside; to be told of in the chain."""

    file: Path
    bytes: int
    sha256: str


class UnsyncedError(OSError):
    """The disk did not say that what was written is safe."""


class Tail:
    """Where the next line goes. Every method but `close` needs the write lock."""

    def __init__(self, folder: Path, key: Ed25519PrivateKey, segment_bytes: int) -> None:
        """The tail of a ledger whose folder and keys exist; call `refresh` before all else."""
        self._folder = folder
        self._key = key
        self.check = check_with(key.public_key())
        self._segment_bytes = segment_bytes
        self._count, self._last = 0, GENESIS
        self._number, self._size = -1, 0
        self._file = self.checkpoint = -1
        self._synced = 0.0
        self._vouched = True

    def close(self) -> None:
        """Close the files."""
        files = self._file, self.checkpoint
        self._file = self.checkpoint = self._number = -1
        for file in files:
            if file >= 0:
                os.close(file)

    def refresh(self) -> None:
        """Catch up with what other writers have written, and set aside what a crash cut off.

        Raises:
            LedgerTamperedError: the end of the chain is not what was written; nothing is touched.
            OSError: a file cannot be read or written.
        """
        if self._number < 0:
            self._begin()
        elif self._unchanged():
            if not self._vouched:
                self._vouch()
            return
        claim = self._claim()
        rest = self._catch_up()
        if self._count < claim.count:
            raise self._tampered(
                Tampering.TRUNCATED,
                f"record {self._count} is missing or was changed: {claim.count} records were "
                f"written, {self._count} are whole and signed",
            )
        if self._count == claim.count and claim.hash != self._last:
            raise self._tampered(
                Tampering.FORKED, f"record {self._count - 1} is not the one that was written last"
            )
        if rest:
            self._set_aside(rest)
        if self._count > claim.count:
            self._vouch()

    def write(self, records: Sequence[bytes]) -> list[tuple[int, str]]:
        """Append one commit of canonical records; durable on return. Returns numbers and hashes.

        Raises:
            UnsyncedError: what is on the disk is unknown until the ledger is opened anew.
            OSError: it was not written, or a part of it, which `refresh` sets aside.
        """
        if self._size >= self._segment_bytes or self._is_of_another_day():
            self.begin_segment()
        hashes, data = chain(self._count, self._last, records, self._key)
        try:
            _write(self._file, data, self._size)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        try:
            os.fsync(self._file)
        except OSError as error:
            raise UnsyncedError(*error.args) from error
        first = self._count
        end = self._size + len(data), first + len(records), hashes[-1], False
        self._size, self._count, self._last, self._vouched = end  # at once: a signal may come
        try:
            self._vouch()
        except OSError as error:
            # These records are safe, and so they count; the next ones wait until this succeeds.
            _log.warning("the checkpoint could not be written", error=str(error))
        return list(enumerate(hashes, first))

    def begin_segment(self) -> None:
        """Write to a new segment from now on, so that the one so far can be purged.

        Raises:
            OSError: it cannot be made.
        """
        if self._size:
            os.fsync(self._file)
            self.sync()
            self._open(self._number + 1)

    @property
    def end(self) -> Place:
        """Where the next line goes, after the last one that is signed."""
        return Place(self._number, self._size)

    def last_commit(self) -> float:
        """When a writer last committed, by the clock of this machine (seconds since 1970)."""
        return os.fstat(self.checkpoint).st_mtime

    def gaps(self) -> list[Gap]:
        """What was set aside and is not told of in the chain yet."""
        files = sorted(self._folder.glob(f"*{PENDING}"))
        return [gap for file in files if _ASIDE.fullmatch(file.name) and (gap := _gap(file))]

    def sync(self) -> None:
        """Make the checkpoint as durable as the records are."""
        if self.checkpoint >= 0:
            os.fsync(self.checkpoint)
            self._synced = time.monotonic()

    def _begin(self) -> None:
        """Open the checkpoint, and the last segment in which there is a signature."""
        self.close()
        files = segments(self._folder)
        path = self._folder / CHECKPOINT
        # A new ledger's public key is written last: where there is one, records may have been.
        if not files and not path.exists() and not (self._folder / PUBLIC_KEY).exists():
            write_durably(path, encode_checkpoint(Checkpoint(0, GENESIS), self._key))
        try:
            self.checkpoint = os.open(path, os.O_RDWR)
        except FileNotFoundError as error:
            raise self._bad_checkpoint(Tampering.REMOVED, error) from error
        if not files and self._claim().count:
            raise self._tampered(Tampering.TRUNCATED, "all segments are missing")
        self._count, self._last, number = 0, GENESIS, 0
        while len(files) > 1 and not _SIGNED.search(files[-1].read_bytes()):
            files.pop()
        if files and (number := number_of(files[-1])):
            with files[-1].open("rb") as file:
                first = _parsed(file.readline(LONGEST_LINE))
            if first is None:
                raise self._tampered(
                    Tampering.ALTERED, f"the first line of {files[-1]} was changed"
                )
            self._count, self._last = first.seq, first.prev
        self._open(number)

    def _open(self, number: int) -> None:
        file = open_or_make(self._folder / segment_name(number), 0o640)
        before, self._file, self._number, self._size = self._file, file, number, 0
        if before >= 0:
            os.close(before)
        sync_folder(self._folder)  # whoever made it may have died before this

    def _unchanged(self) -> bool:
        path = self._folder / segment_name(self._number)
        known = os.fstat(self._file)
        there = path.stat() if path.exists() else None
        if there is None and segments(self._folder)[:1] > [path]:
            self._begin()  # what stood before was purged
            return False
        if there is None or there.st_ino != known.st_ino or there.st_size < self._size:
            raise self._tampered(
                Tampering.TRUNCATED, f"{path} was taken away or cut while the ledger was open"
            )
        checkpoint = self._folder / CHECKPOINT
        if not checkpoint.exists() or checkpoint.stat().st_ino != os.fstat(self.checkpoint).st_ino:
            raise self._tampered(
                Tampering.REMOVED,
                f"{checkpoint} was taken away or replaced while the ledger was open",
            )
        later = self._folder / segment_name(self._number + 1)
        return there.st_size == self._size and not later.exists()

    def _claim(self) -> Checkpoint:
        try:
            return parse_checkpoint(os.pread(self.checkpoint, 4096, 0), self.check)
        except ValueError as error:
            raise self._bad_checkpoint(Tampering.ALTERED, error) from error

    def _bad_checkpoint(self, kind: Tampering, error: Exception) -> LedgerTamperedError:
        return self._tampered(kind, f"{CHECKPOINT} is missing or was changed: {error}")

    def _tampered(self, kind: Tampering, what: str) -> LedgerTamperedError:
        return LedgerTamperedError(f"{self._folder}: {what}", self._count, VERIFY, kind=kind)

    def _catch_up(self) -> bytes:
        """Go on to the last signed line; returns the bytes after it."""
        while True:
            start = self._size
            rest = os.pread(self._file, os.fstat(self._file).st_size - start, start)
            seq, last, end = self._count, self._last, start
            for data in rest.splitlines(keepends=True):
                line = _parsed(data)
                if line is None or (line.seq, line.prev) != (seq, last):
                    break
                seq, last, end = seq + 1, line.hash, end + len(data)
                if line.signature:
                    if not self.check(line_statement(data), bytes.fromhex(line.signature)):
                        break
                    self._count, self._last, self._size = seq, last, end  # at once, as in `write`
            rest = rest[self._size - start :]
            if not (self._folder / segment_name(self._number + 1)).exists():
                return rest
            if rest:
                raise self._tampered(Tampering.ALTERED, f"record {self._count} was changed")
            self._open(self._number + 1)

    def _set_aside(self, rest: bytes) -> None:
        """Move what follows the last commit to a file of its own, kept until the chain says so."""
        stem = Path(segment_name(self._number)).stem
        aside = self._folder / f"{stem}.torn-{sha256(rest).hexdigest()[:16]}{PENDING}"
        write_durably(aside, rest)
        os.ftruncate(self._file, self._size)
        _log.warning("a commit was cut off as it was written", file=str(aside), bytes=len(rest))

    def _is_of_another_day(self) -> bool:
        """Whether the last commit was before today (UTC): segments are purged as a whole."""
        return self._size > 0 and time.time() // _DAY > self.last_commit() // _DAY

    def _vouch(self) -> None:
        """Overwrite the checkpoint where it stands: one sector, which is written whole or not.

        That reaches the disk within a second of the next commits, at a new segment and at the end;
        a sync of its own for each commit would take as long as that of the records.
        """
        data = encode_checkpoint(Checkpoint(self._count, self._last), self._key)
        _write(self.checkpoint, data, 0)
        self._vouched = True
        if time.monotonic() - self._synced > _CHECKPOINT_SYNCED_EVERY:
            self.sync()


def _gap(path: Path) -> Gap | None:
    """What was set aside in a file; None for a link, a folder and the like, which none of it is."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        return None
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
        return Gap(path, found.st_size, file_digest(file, "sha256").hexdigest())


def _write(file: int, data: bytes, place: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, place)
        place, rest = place + written, rest[written:]


def _parsed(data: bytes) -> Line | None:
    try:
        return parse_line(data)
    except ValueError:
        return None
