"""Read a ledger's records. That they are what was signed is for `verify` to say."""

from collections.abc import Iterator
from pathlib import Path

from safegen.audit.ledger.format import CHECKPOINT, decode, segments
from safegen.errors import LedgerError
from safegen.nouns import Event, Record


def read(folder: str | Path) -> Iterator[tuple[int, Record]]:
    """Every request's record with its number, oldest first.

    Raises:
        LedgerError: no ledger, or a line that is not a record.
    """
    return ((seq, entry) for seq, entry in entries(folder) if isinstance(entry, Record))


def entries(folder: str | Path) -> Iterator[tuple[int, Record | Event]]:
    """All that was written, with its number, oldest first; leaves out what is being written.

    Raises:
        LedgerError: no ledger, or a line that is not a record.
    """
    folder = Path(folder)
    files = segments(folder)
    if not files and not (folder / CHECKPOINT).exists():
        raise LedgerError(f"{folder} is not a ledger", "give the folder of a ledger")
    for path in files:
        try:
            with path.open("rb") as file:
                for row, data in enumerate(file, 1):
                    if not data.endswith(b"\n") and path == files[-1]:
                        return
                    yield _entry(data, f"{path}:{row}")
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {folder}: {error}") from error


_KINDS: dict[object, type[Record | Event]] = {"event": Event}


def find(folder: str | Path, record_id: str) -> tuple[int, Record]:
    """The record with this id, or the only one whose id starts so.

    Raises:
        LedgerError: there is none, or several ids start so.
    """
    similar: list[tuple[int, Record]] = []
    for seq, record in read(folder):
        if record.id == record_id:
            return seq, record
        if record.id.startswith(record_id) and len(similar) < 2:
            similar.append((seq, record))
    if len(similar) == 1:
        return similar[0]
    raise LedgerError(
        f"{'several records' if similar else 'no record'} in {folder} with an id starting with "
        f"{record_id!r}",
        f"see the ids: safegen audit show {folder}",
    )


def _entry(data: bytes, where: str) -> tuple[int, Record | Event]:
    try:
        line = decode(data)
        return line.seq, _KINDS.get(line.record.get("kind"), Record).model_validate(line.record)
    except ValueError as error:  # pydantic's ValidationError is one
        raise LedgerError(
            f"{where} is not a record: {error}", "run: safegen audit verify"
        ) from error
