"""SQLite files that only their owner may read, and what is opened on one."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from safegen.errors import OutputError
from safegen.files import open_or_make

_WAIT = 30.0  # seconds, for another process that writes


class _Database(sqlite3.Connection):
    """A connection that knows the outermost block of `writing` at work on it."""

    block: object | None = None


def connect(path: Path) -> sqlite3.Connection:
    """Open a database, made with mode 0600 if missing; transactions are begun by `writing`.

    Raises:
        OutputError: it cannot be opened or made, or is no database.
    """
    try:
        os.close(open_or_make(path, 0o600))
        # A page that is sent piece by piece is made by several threads, one after another.
        database = sqlite3.connect(
            path, timeout=_WAIT, isolation_level=None, check_same_thread=False, factory=_Database
        )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -65536")
    except (OSError, sqlite3.Error) as error:
        raise OutputError(
            f"cannot open the database {path}: {error}",
            "choose a folder you can write to; what is no database, move away",
        ) from error
    return database


def make_tables(database: sqlite3.Connection, schema: str) -> None:
    """Run the statements of `schema`, each of which ends a line, within the transaction."""
    for statement in schema.split(";\n"):
        database.execute(statement)


class OnDatabase:
    """What stands on one database. Not for several threads at a time."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Use the class's `open`."""
        self.database = database

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Self:
        """Itself; leaving the block closes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


@contextmanager
def writing(database: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or nothing, alone among the processes that write this database.

    A block within another is part of it. An exception that a signal's handler raises at any instant
    ends the block as others do: a transaction that it left open all the same, no block's any more,
    is rolled back by the next.

    Args:
        database: from `connect`.

    Raises:
        OutputError: it cannot be written.
    """
    assert isinstance(database, _Database)  # noqa: S101 - there is no other way to open one
    if database.block is not None:
        yield
        return
    block = object()
    try:
        database.block = block
        if database.in_transaction:
            database.execute("ROLLBACK")
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("COMMIT")
    except sqlite3.Error as error:
        raise OutputError(f"cannot write the database: {error}", "mend the disk (full?)") from error
    finally:
        if database.block is block:
            abandon(database)


def abandon(database: sqlite3.Connection) -> None:
    """Roll back what a block began and did not end; for who knows that none is at work.

    One whose end was interrupted is otherwise taken for at work as long as something, a traceback
    say, refers to it.
    """
    assert isinstance(database, _Database)  # noqa: S101 - as above
    database.block = None
    with suppress(sqlite3.Error):  # what failed is told; a closed database has no transaction
        if database.in_transaction:
            database.execute("ROLLBACK")
