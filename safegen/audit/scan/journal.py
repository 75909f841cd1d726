"""What a scan has found out so far, in a folder beside its results: how it goes on after a kill.

One row an image, written a batch at a time; a kill loses the batch at hand. It stays when the scan
is through, so that the next one over the same archive looks at what is new or changed only.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from safegen.audit.scan.examine import Seen
from safegen.audit.scan.result import Scanned
from safegen.audit.sqlite import OnDatabase, connect, make_tables, writing
from safegen.errors import OutputError

_SCHEMA = """\
CREATE TABLE IF NOT EXISTS runs (run INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS images (path TEXT PRIMARY KEY, run INTEGER NOT NULL,
 sha256 TEXT NOT NULL, judge TEXT NOT NULL, flagged INTEGER NOT NULL, error INTEGER NOT NULL,
 result TEXT NOT NULL, thumbnail BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS of_flagged ON images (flagged) WHERE flagged;
"""
_ASKED = 500  # names in one question


class Journal(OnDatabase):
    """The journal of one results file. `known` may be asked from one other thread."""

    def __init__(self, database: sqlite3.Connection, reader: sqlite3.Connection, lock: int) -> None:
        """Use `open`."""
        super().__init__(database)
        self._reader = reader
        self._lock = lock
        with writing(database):
            make_tables(database, _SCHEMA)
            self._run = database.execute("INSERT INTO runs DEFAULT VALUES").lastrowid

    @classmethod
    def open(cls, out: Path) -> Self:
        """The journal of the results `out`, made if missing, for a new run.

        Raises:
            OutputError: it cannot be made, or another scan is writing it.
        """
        folder = cls.folder(out)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                raise
        except BlockingIOError as error:
            raise OutputError(
                f"another scan is writing {out}", "wait for it, or give another --out"
            ) from error
        except OSError as error:
            raise OutputError(
                f"cannot write {folder}: {error.strerror}", "give another --out"
            ) from error
        path = folder / "journal.sqlite"
        database = connect(path)
        # A connection of its own, since `known` is asked while results are written.
        return cls(database, sqlite3.connect(path, check_same_thread=False), lock)

    @staticmethod
    def folder(out: Path) -> Path:
        """Where the journal of the results `out` is."""
        return out.with_name(f"{out.name}.scan")

    def known(self, names: Sequence[str], judge: str) -> dict[str, str]:
        """Of these images, those that were looked at under this judge -> their digest then.

        One with an error is not known: what hindered may be gone.
        """
        found: dict[str, str] = {}
        for start in range(0, len(names), _ASKED):
            some = names[start : start + _ASKED]
            marks = ",".join("?" * len(some))
            found |= self._reader.execute(
                "SELECT path, sha256 FROM images WHERE judge = ? AND NOT error "  # noqa: S608
                f"AND path IN ({marks})",
                (judge, *some),
            ).fetchall()
        return found

    def add(self, batch: Iterable[Seen]) -> None:
        """Write what became of a batch of images, durably.

        Raises:
            OutputError: it cannot be written.
        """
        with writing(self.database):
            for seen in batch:
                if seen.result is None:
                    self.database.execute(
                        "UPDATE images SET run = ? WHERE path = ?", (self._run, seen.name)
                    )
                    continue
                result = seen.result
                self.database.execute(
                    "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        result.path,
                        self._run,
                        result.sha256,
                        result.judge,
                        bool(result.flagged),
                        bool(result.error),
                        result.model_dump_json(),
                        seen.thumbnail,
                    ),
                )

    def forget_others(self) -> None:
        """Forget the images that this run did not come across: they are gone."""
        with writing(self.database):
            self.database.execute("DELETE FROM images WHERE run <> ?", (self._run,))

    def results(self) -> Iterator[Scanned]:
        """Every result, in the order of the paths."""
        rows = self.database.execute("SELECT result FROM images ORDER BY path")
        return (Scanned.model_validate_json(text) for (text,) in rows)

    def thumbnails(self, limit: int) -> Iterator[tuple[Scanned, bytes]]:
        """The first so many flagged images, in the order of the paths."""
        rows = self.database.execute(
            "SELECT result, thumbnail FROM images WHERE flagged ORDER BY path LIMIT ?", (limit,)
        )
        return ((Scanned.model_validate_json(text), thumbnail) for text, thumbnail in rows)

    def close(self) -> None:
        """Close the files, and let another scan write."""
        self._reader.close()
        super().close()
        os.close(self._lock)
