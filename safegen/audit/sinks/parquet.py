"""Parquet: the same tables as files, for DuckDB and whatever else reads a folder of them.

A folder holds one ledger's records, in `records/`, `images/`, `findings/`, `rules/` and `events/`,
each file named by the first and last line in it. `cursor.json` is written last: files beyond it are
what a crash left, and are written anew.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_core import to_json

from safegen.audit.ledger.files import replacing
from safegen.audit.sinks.base import Batch, Cursor
from safegen.audit.sinks.kept import alone, load, save
from safegen.audit.sinks.rows import TABLES, Row, rows_of
from safegen.errors import MissingExtraError, OutputError, SinkError

if TYPE_CHECKING:
    import pyarrow

_CURSOR = "cursor.json"
_NAMES = "[0-9]*-[0-9]*.parquet"


class Parquet:
    """A folder of Parquet files. Followed ledgers get few files rather than quick ones."""

    most, pause = 20_000, 30.0

    def __init__(self, folder: str | Path) -> None:
        """Deliver into this folder, made if missing.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        try:
            import pyarrow
        except ImportError as error:
            raise MissingExtraError("pyarrow", "parquet", "writing Parquet files") from error
        self._schemas = {name: _schema(name) for name in TABLES}
        self._folder = Path(folder)
        self.to = f"parquet:{self._folder.absolute()}"
        self._opened = ExitStack()
        self._errors = (OSError, pyarrow.ArrowException)

    def open(self, kept: Cursor) -> Cursor:
        """Take away what a crash left; the cursor is the folder's own.

        Raises:
            SinkError: another shipper is at it.
            OutputError: the folder cannot be written, or holds files but not how far they go.
        """
        self._opened.enter_context(alone(self._folder, self.to))
        cursor = load(self._folder / _CURSOR, Cursor)
        if cursor is None:
            if any(self._files()):
                raise OutputError(
                    f"{self._folder} holds Parquet files, but no {_CURSOR} that says how far",
                    "restore that file, or give a new folder",
                )
            cursor = Cursor(ledger=kept.ledger)
            save(self._folder / _CURSOR, cursor)
        for file in self._files():
            if int(file.name.partition("-")[0]) > cursor.seq:
                file.unlink()
        for file in self._files(f"{_NAMES}.part"):
            file.unlink()
        return cursor

    def deliver(self, batch: Batch) -> Cursor:
        """Write the files of a batch, then the cursor.

        Raises:
            SinkError: the disk is full, or gone.
        """
        name = f"{batch.before.seq + 1:012d}-{batch.after.seq:012d}.parquet"
        try:
            for table, rows in rows_of(batch.items).items():
                # The first file of each table is written even if empty, so that queries find one.
                if rows or batch.before.seq < 0:
                    self._write(table, name, rows, batch.after.ledger)
        except self._errors as error:
            raise SinkError(
                f"{self.to} takes no files: {error}", "mend the disk (full?) or its permissions"
            ) from error
        save(self._folder / _CURSOR, batch.after)
        return batch.after

    def close(self) -> None:
        """Let another shipper at the folder."""
        self._opened.close()

    def _write(self, table: str, name: str, rows: list[Row], ledger: str) -> None:
        import pyarrow
        from pyarrow import parquet

        schema = self._schemas[table]
        flat = [{"ledger": ledger} | _flat(row) for row in rows]
        folder = self._folder / table
        folder.mkdir(exist_ok=True)
        with replacing(folder / name, 0o600) as file:  # prompts may stand in it
            parquet.write_table(
                pyarrow.Table.from_pylist(flat, schema=schema), file, compression="zstd"
            )

    def _files(self, names: str = _NAMES) -> Iterator[Path]:
        for table in TABLES:
            yield from (self._folder / table).glob(names)


def _schema(table: str) -> "pyarrow.Schema":
    import pyarrow

    kinds = {
        "integer": pyarrow.int64(),
        "real": pyarrow.float64(),
        "text": pyarrow.string(),
        "time": pyarrow.timestamp("us", tz="UTC"),
        "json": pyarrow.string(),
    }
    columns = [(name, kinds[kind]) for name, kind in TABLES[table].items()]
    return pyarrow.schema([("ledger", pyarrow.string()), *columns])


def _flat(row: Row) -> Row:
    """The row with its JSON as text."""
    return {
        name: to_json(value).decode() if isinstance(value, dict) else value
        for name, value in row.items()
    }
