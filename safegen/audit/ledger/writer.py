"""`Ledger`: the one writer of a ledger folder."""

import hashlib
import hmac
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from safegen.audit.ledger.event import happened
from safegen.audit.ledger.files import lock, sync_folder, unlock, write_durably
from safegen.audit.ledger.format import (
    CHECKPOINT,
    GENESIS,
    Checkpoint,
    Line,
    decode,
    decode_checkpoint,
    encode,
    encode_checkpoint,
    seal,
    segment_name,
    segments,
    signed,
)
from safegen.audit.ledger.keys import (
    PRIVATE_KEY,
    PUBLIC_KEY,
    load_private_key,
    make_private_key,
    prompt_key,
    public_pem,
)
from safegen.errors import LedgerError, LedgerTamperedError, OutputError
from safegen.nouns import Event, Record

_log = structlog.get_logger("safegen.ledger")
_SEGMENT_BYTES = 64 * 2**20
_VERIFY = "run: safegen audit verify"


@dataclass(frozen=True)
class Entry:
    """Where a record went: its number, counted from 0, and the hash that seals it (hex)."""

    seq: int
    hash: str


class Ledger:
    """Appends records; each is on disk (fsync) before `append` returns. Thread-safe.

    A process forked from the one that opened it cannot append: two would share one chain.
    """

    def __init__(
        self, folder: Path, key: Ed25519PrivateKey, file_lock: IO[str], segment_bytes: int
    ) -> None:
        """Use `Ledger.open`, which takes the lock and says what can go wrong."""
        self.folder = folder
        self._key = key
        self._prompt_key = prompt_key(key)
        self._file_lock = file_lock
        self._segment_bytes = segment_bytes
        self._thread_lock = threading.Lock()
        self._process = os.getpid()
        self._stopped = ""
        self._count, self._last = 0, GENESIS
        torn = self._resume()
        path = (segments(folder) or [folder / segment_name(0)])[-1]
        self._file = path.open("ab", buffering=0)  # a buffer could still be written after an error
        try:
            sync_folder(folder)
            if torn:
                self._record_repair(path, torn)
        except BaseException:
            self._file.close()
            raise

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        key: str | Path | None = None,
        segment_bytes: int = _SEGMENT_BYTES,
    ) -> Self:
        """Open a ledger for writing and mend what a crash left; folder and key are made if missing.

        Only the end of the chain is looked at; `verify` looks at all of it.

        Args:
            folder: where the ledger lives; one writer at a time.
            key: the private key (PEM, Ed25519). By default `key.pem` in the folder, which protects
                against whoever can change the records but not read that file; keep it elsewhere
                to protect against whoever has the folder.
            segment_bytes: size after which a new segment file begins.

        Raises:
            OutputError: the folder or the key cannot be written.
            LedgerError: another writer holds it, or this key is not the one that wrote it.
            LedgerTamperedError: the end of the chain is not what was written.
        """
        folder = Path(folder)
        private = Path(key) if key else folder / PRIVATE_KEY
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file_lock = lock(folder / "lock")
            try:
                return cls(folder, _signing_key(folder, private), file_lock, segment_bytes)
            except BaseException:
                unlock(file_lock)
                raise
        except OSError as error:
            raise OutputError(
                f"cannot write the ledger {folder}: {error}", "choose a folder you can write to"
            ) from error

    def commit(self, prompt: str) -> str:
        """A commitment to a prompt, `hmac-sha256:` and 64 hex digits.

        Whoever has the ledger's private key can check a guess against it, nobody else can.
        """
        data = prompt.encode("utf-8", "surrogatepass")  # any str a user can send
        return f"hmac-sha256:{hmac.new(self._prompt_key, data, hashlib.sha256).hexdigest()}"

    def append(self, record: Record | Event) -> Entry:
        """Write a record and return once it is durable.

        Raises:
            LedgerError: it could not be written. If the disk was at fault, the ledger refuses
                everything until it is opened anew, since the end of its file is unknown.
        """
        with self._thread_lock:
            if os.getpid() != self._process:
                raise LedgerError(
                    f"the ledger {self.folder} was opened by process {self._process}, this is its "
                    f"child {os.getpid()}",
                    "open a ledger in each process, each with a folder of its own",
                )
            if self._stopped:
                raise LedgerError(
                    f"the ledger {self.folder} takes no records: {self._stopped}", "open it again"
                )
            try:
                line = seal(self._count, self._last, record.model_dump(mode="json"), self._key)
            except ValueError as error:
                raise LedgerError(
                    f"the record {record.id} has no canonical JSON: {error}",
                    "integers (seeds, say) below 2**53, finite numbers, text without lone "
                    "surrogates",
                ) from error
            with self._stopping_unless_done(record):
                if self._file.tell() >= self._segment_bytes:
                    self._rotate()
                _write(self._file, encode(line))
                self._vouch(line.seq + 1, line.hash)
            return Entry(line.seq, line.hash)

    def close(self) -> None:
        """Close the files and let another writer in."""
        with self._thread_lock:
            if self._file.closed:
                return
            self._stopped = "it was closed"
            self._file.close()
            if os.getpid() == self._process:
                unlock(self._file_lock)
            else:
                self._file_lock.close()  # the parent's lock is the same lock, and stays

    def __enter__(self) -> Self:
        """Itself; leaving the block closes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @contextmanager
    def _stopping_unless_done(self, record: Record | Event) -> Iterator[None]:
        # Set first and cleared last: an interrupt half-way must stop the ledger like an error.
        self._stopped = "a write was interrupted"
        try:
            yield
        except OSError as error:
            self._stopped = f"a write failed: {error}"
            raise LedgerError(
                f"cannot write the record {record.id} to {self.folder}: {error}",
                "mend the disk (full?), then open the ledger again",
            ) from error
        self._stopped = ""

    def _vouch(self, count: int, last: str) -> None:
        data = encode_checkpoint(Checkpoint(count, last), self._key)
        write_durably(self.folder / CHECKPOINT, data)
        self._count, self._last = count, last

    def _rotate(self) -> None:
        path = self.folder / segment_name(len(segments(self.folder)))
        fresh = path.open("xb", buffering=0)
        self._file.close()
        self._file = fresh
        sync_folder(self.folder)

    def _resume(self) -> bytes:
        """Find the end of the chain; returns the bytes of a torn write after it."""
        files = segments(self.folder)
        claim = self._checkpoint(missing_is_new=not files)
        whole, torn = _ending(files[-1]) if files else (b"", b"")
        for path in reversed(files[:-1]):  # the newest segment may have no record yet
            whole = whole or _ending(path)[0]
        count, last = 0, GENESIS
        if whole:
            line = self._decoded(whole)
            count, last = line.seq + 1, line.hash
        if claim.count > count:
            raise LedgerTamperedError(
                f"{self.folder}: record {count} is missing or was changed: {claim.count} records "
                f"were written, {count} are whole",
                count,
                _VERIFY,
            )
        if claim.count == count and claim.hash != last:
            raise LedgerTamperedError(
                f"{self.folder}: record {count - 1} is not the one that was written last",
                count - 1,
                _VERIFY,
            )
        self._vouch(count, last)
        return torn

    def _checkpoint(self, *, missing_is_new: bool) -> Checkpoint:
        path = self.folder / CHECKPOINT
        if missing_is_new and not path.exists():
            return Checkpoint(0, GENESIS)
        try:
            return decode_checkpoint(path.read_bytes(), self._key.public_key())
        except (OSError, ValueError) as error:
            raise LedgerTamperedError(
                f"the checkpoint {path} is missing or was changed: {error}", 0, _VERIFY
            ) from error

    def _decoded(self, data: bytes) -> Line:
        try:
            line = decode(data)
            if not signed(line.signature, line.hash, self._key.public_key()):
                raise ValueError("it is not signed with this ledger's key")
        except ValueError as error:
            raise LedgerError(
                f"{self.folder}: the last line is not a record of this ledger: {error}", _VERIFY
            ) from error
        return line

    def _record_repair(self, path: Path, torn: bytes) -> None:
        """Set a torn write aside, and say so in the chain."""
        digest = hashlib.sha256(torn).hexdigest()
        aside = path.with_suffix(f".torn-{digest[:16]}")
        write_durably(aside, torn)
        self._file.truncate(path.stat().st_size - len(torn))
        _log.warning("a record was cut off as it was written", file=str(aside), bytes=len(torn))
        self.append(
            happened(
                "repaired",
                reason="a record was cut off as it was written, so its request got no image",
                details={"bytes": len(torn), "file": aside.name, "sha256": digest},
            )
        )


def _write(file: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _ending(path: Path) -> tuple[bytes, bytes]:
    """The last whole line of a segment, and what follows it."""
    whole = torn = b""
    with path.open("rb") as file:
        for data in file:
            if data.endswith(b"\n"):
                whole = data
            else:
                torn = data
    return whole, torn


def _signing_key(folder: Path, path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        if segments(folder):
            raise LedgerError(
                f"{folder} holds records, but the key that signed them is not at {path}",
                "give that key, or start a new folder",
            )
        make_private_key(path)
    key = load_private_key(path)
    public, pem = folder / PUBLIC_KEY, public_pem(key)
    if not public.exists():
        write_durably(public, pem)
    if public.read_bytes() != pem:
        raise LedgerError(
            f"the key {path} does not belong to {public}",
            "give the key that wrote this ledger, or start a new folder",
        )
    return key
