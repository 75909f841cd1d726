"""`SubjectKeys`: a random key a person; who deletes it has erased what it encrypts.

The keys stand apart from the ledger's lines, in SQLite, mode 0600, each wrapped (AES-256-GCM) under
a key derived from the ledger's private key.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from safegen.audit.sqlite import OnDatabase, abandon, connect, make_tables, writing
from safegen.errors import LedgerError, OutputError, SafeGenError

NAME = "subjects.sqlite"
NONCE = 12  # bytes, of AES-GCM
# A key that is retired still opens what it encrypted, and encrypts nothing more: it is about to be
# erased, or may have been, in a file that came back from a backup.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (number INTEGER PRIMARY KEY, id TEXT UNIQUE, subject TEXT,
    day TEXT, wrapped BLOB, retired INTEGER DEFAULT 0);
CREATE UNIQUE INDEX IF NOT EXISTS keys_in_use ON keys (subject) WHERE NOT retired;
CREATE INDEX IF NOT EXISTS keys_subject ON keys (subject);
CREATE TABLE IF NOT EXISTS heard (segment INTEGER);
"""
_EACH = "SELECT id, subject, wrapped FROM keys"


class ForeignKeysError(LedgerError):
    """A file holds the keys of another ledger's subjects."""


class SubjectKey(NamedTuple):
    """What encrypts the fields of one subject; records name it by its id, which says nothing."""

    id: str
    key: bytes


@dataclass(eq=False)
class _Wanted:
    """A key that a thread waits for."""

    subject: str
    day: str
    found: SubjectKey | None = None
    error: SafeGenError | None = None


class SubjectKeys(OnDatabase):
    """The keys of a ledger's subjects. For any number of threads and processes."""

    def __init__(self, database: sqlite3.Connection, wrapping: bytes) -> None:
        """Use `SubjectKeys.open`."""
        super().__init__(database)
        self._wrapping = AESGCM(wrapping)
        self._mutex, self._turn = threading.Lock(), threading.Lock()
        self._waiting: list[_Wanted] = []

    @classmethod
    def open(cls, path: Path, wrapping: bytes, segment: int = 0) -> Self:
        """Open a store, made if missing.

        Args:
            path: the file.
            wrapping: 32 bytes, which encrypt the keys in it.
            segment: the ledger's last one; what it told before is nothing to a store made now.

        Raises:
            OutputError: it cannot be opened or made.
        """
        database = connect(path)
        store = cls(database, wrapping)
        with ExitStack() as on_error:
            on_error.callback(store.close)
            with store._naming("open"):
                # A record is durable, so its key must be too; and what is deleted must not linger.
                database.execute("PRAGMA synchronous = FULL")
                database.execute("PRAGMA secure_delete = ON")
                with writing(database):
                    make_tables(database, _SCHEMA)
                    made = "INSERT INTO heard SELECT ? WHERE NOT EXISTS (SELECT 1 FROM heard)"
                    database.execute(made, (segment,))
            on_error.pop_all()
        return store

    def use(self, subject: str, day: str) -> SubjectKey:
        """The key of a subject, made if there is none; durable on return.

        Threads that wait at the same time are served with one sync.

        Args:
            subject: whose.
            day: of the record that it is for, such as 2026-01-31; the latest one is remembered,
                so that the key can go when the last record is gone.

        Raises:
            OutputError: the store cannot be read or written.
            LedgerError: the key was not wrapped by this ledger.
        """
        wanted = _Wanted(subject, day)
        with self._mutex:
            self._waiting.append(wanted)
        with self._turn:
            try:
                if wanted.found is None and wanted.error is None:
                    self._serve(self._take(wanted))
            finally:
                abandon(self.database)  # where a signal cut it off: no other process waits for it
        if wanted.error is not None:
            raise wanted.error
        assert wanted.found is not None  # noqa: S101 - whoever has the turn settles every one
        return wanted.found

    def find(self, key_id: str) -> bytes | None:
        """The key with this id; None if there is none any more.

        Raises:
            LedgerError: it was not wrapped by this ledger.
        """
        with self._turn, self._naming("read"):
            found = self.database.execute(
                "SELECT subject, wrapped FROM keys WHERE id = ?", (key_id,)
            ).fetchone()
        return self._unwrapped(key_id, *found) if found else None

    def demand_own(self) -> None:
        """Refuse a file that holds keys, none of which this ledger made.

        Raises:
            ForeignKeysError: it is such a one.
        """
        refused: LedgerError | None = None
        with self._turn, self._naming("read"), closing(self.database.execute(_EACH)) as rows:
            for row in rows:
                try:
                    self._unwrapped(*row)
                except LedgerError as error:
                    refused = error
                else:
                    return
        if refused is not None:
            raise ForeignKeysError(
                f"the keys of subjects {self._path} belong to another ledger",
                "give the file that holds this ledger's",
            ) from refused

    def of(self, subject: str) -> str:
        """The id of a subject's key, of several the last one made; empty if it has none."""
        return next(reversed(self._all_of(subject)), "")

    def retire(self, subject: str) -> list[str]:
        """Let a subject's keys encrypt nothing more; gives the ids of all that it has.

        Raises:
            OutputError: the store cannot be written.
        """
        self._change("UPDATE keys SET retired = 1 WHERE subject = ?", subject)
        return self._all_of(subject)

    def retire_all(self) -> None:
        """Let no key that is here now encrypt anything more.

        Raises:
            OutputError: the store cannot be written.
        """
        self._change("UPDATE keys SET retired = 1")

    @property
    def heard(self) -> int:
        """The first segment whose lines may tell of an erasing that is not done here."""
        with self._turn, self._naming("read"):
            return int(self.database.execute("SELECT segment FROM heard").fetchone()[0])

    def set_heard(self, segment: int) -> None:
        """Remember that what segments before this one tell of is done.

        Raises:
            OutputError: the store cannot be written.
        """
        if segment != self.heard:
            self._change("UPDATE heard SET segment = ?", segment)

    def _change(self, statement: str, *values: object) -> None:
        with self._turn:
            abandon(self.database)
            with self._naming("write"), writing(self.database):
                self.database.execute(statement, values)

    def _all_of(self, subject: str) -> list[str]:
        with self._turn, self._naming("read"):
            found = self.database.execute(
                "SELECT id FROM keys WHERE subject = ? ORDER BY number", (subject,)
            )
            return [key_id for (key_id,) in found]

    def lacking(self, key_ids: Collection[str]) -> set[str]:
        """Those of these ids that no key has."""
        with self._turn, self._naming("read"):
            has = "SELECT 1 FROM keys WHERE id = ?"
            return {each for each in key_ids if not self.database.execute(has, (each,)).fetchone()}

    def delete(self, key_ids: Collection[str]) -> int:
        """Delete keys so that no byte of them is left in the files; gives how many there were.

        Raises:
            OutputError: the store cannot be written, or other processes keep its log in use;
                call it again then.
        """
        with self._turn:
            abandon(self.database)
            with self._naming("write"), writing(self.database):
                count = sum(
                    self.database.execute("DELETE FROM keys WHERE id = ?", (key_id,)).rowcount
                    for key_id in key_ids
                )
                if count:
                    self._set_traces(1)
            # Also where a crash came between a deletion and this.
            if self.database.execute("PRAGMA user_version").fetchone()[0]:
                self._scrub()
        return count

    def unused_since(self, day: str) -> list[str]:
        """The ids of the keys that no record of this day or a later one uses."""
        with self._turn, self._naming("read"):
            found = self.database.execute("SELECT id FROM keys WHERE day < ?", (day,))
            return [key_id for (key_id,) in found]

    @property
    def _path(self) -> str:
        return str(self.database.execute("PRAGMA database_list").fetchone()[2])

    def _scrub(self) -> None:
        """Rebuild the file, for pages that were split or joined hold copies, and empty the log."""
        try:
            self.database.execute("VACUUM")
            (busy, *_) = self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise self._cannot("rewrite", error) from error
        if busy:
            raise self._cannot("empty the log of", "another process reads it")
        self._set_traces(0)

    def _set_traces(self, left: int) -> None:
        """Remember whether bytes of deleted keys may be left in the files."""
        self.database.execute(f"PRAGMA user_version = {left}")

    @contextmanager
    def _naming(self, what: str) -> Iterator[None]:
        """Tell which file it is that fails."""
        try:
            yield
        except (OutputError, sqlite3.Error) as error:
            raise self._cannot(what, error) from error

    def _cannot(self, what: str, why: object) -> OutputError:
        why = why.message if isinstance(why, OutputError) else why
        return OutputError(
            f"cannot {what} the keys of subjects {self._path}: {why}",
            "mend the disk (full?) or the file's permissions, then try again; a file that is "
            "damaged, restore from a backup",
        )

    def _take(self, wanted: _Wanted) -> list[_Wanted]:
        """All that wait, and this one."""
        with self._mutex:
            batch, self._waiting = self._waiting, []
        # If it is not there, who took it was interrupted.
        return batch if wanted in batch else [*batch, wanted]

    def _serve(self, batch: Sequence[_Wanted]) -> None:
        abandon(self.database)  # a key in a transaction that nobody ends is not durable
        try:
            rows = [(wanted, self._known(wanted)) for wanted in batch]
            missing = [wanted for wanted, row in rows if row is None]
            if missing:
                with writing(self.database):
                    rows += [(wanted, self._made(wanted)) for wanted in missing]
        except (OutputError, sqlite3.Error) as error:
            for wanted in batch:
                wanted.error = self._cannot("write", error)
            return
        for wanted, row in rows:
            if row is not None:
                self._settle(wanted, *row)

    def _settle(self, wanted: _Wanted, key_id: str, wrapped: bytes) -> None:
        try:
            key = self._unwrapped(key_id, wanted.subject, wrapped)
        except LedgerError as error:
            wanted.error = error
        else:
            wanted.found = SubjectKey(key_id, key)

    def _known(self, wanted: _Wanted) -> tuple[str, bytes] | None:
        row: tuple[str, bytes] | None = self.database.execute(
            "SELECT id, wrapped FROM keys WHERE subject = ? AND day >= ? AND NOT retired",
            (wanted.subject, wanted.day),
        ).fetchone()
        return row

    def _made(self, wanted: _Wanted) -> tuple[str, bytes]:
        """A new key, or the one that is there, from now on used on this day too."""
        key_id, nonce = secrets.token_hex(8), os.urandom(NONCE)
        about = _about(key_id, wanted.subject)
        wrapped = nonce + self._wrapping.encrypt(nonce, AESGCM.generate_key(256), about)
        row: tuple[str, bytes] = self.database.execute(
            "INSERT INTO keys (id, subject, day, wrapped) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (subject) WHERE NOT retired DO UPDATE SET day = max(day, excluded.day) "
            "RETURNING id, wrapped",
            (key_id, wanted.subject, wanted.day, wrapped),
        ).fetchone()
        return row

    def _unwrapped(self, key_id: str, subject: str, wrapped: bytes) -> bytes:
        try:
            about = _about(key_id, subject)
            return self._wrapping.decrypt(wrapped[:NONCE], wrapped[NONCE:], about)
        except InvalidTag as error:
            raise LedgerError(
                f"the key {key_id} in {self._path} was changed, or belongs to another ledger",
                "give the keys of this ledger's subjects, and the private key that wrote it",
            ) from error


def _about(key_id: str, subject: str) -> bytes:
    return f"{key_id} {subject}".encode("utf-8", "surrogatepass")
