"""Read a ledger's records. That they are what was signed is for `verify` to say."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from safegen.audit.ledger.format import CHECKPOINT, Line, decode, number_of, segment_name, segments
from safegen.errors import LedgerError
from safegen.nouns import Event, Record

_KINDS: dict[object, type[Record | Event]] = {"event": Event}


class Place(NamedTuple):
    """Where a line stands: the number of its segment, and its first byte in there."""

    segment: int = 0
    byte: int = 0


_BEGINNING = Place()


class Placed(NamedTuple):
    """A line with its place, and the place where the next one begins."""

    place: Place
    line: Line
    end: Place


def read(folder: str | Path) -> Iterator[tuple[int, Record]]:
    """Every request's record with its number, oldest first.

    Raises:
        LedgerError: no ledger, or a line that is not a record.
    """
    return ((seq, entry) for seq, entry in entries(folder) if isinstance(entry, Record))


def entries(folder: str | Path, *, after: int = -1) -> Iterator[tuple[int, Record | Event]]:
    """All that was written after number `after`, with its number, oldest first.

    Leaves out what is being written. Segments that end before are not read.

    Raises:
        LedgerError: no ledger, or a line that is not a record.
    """
    folder = Path(folder)
    for place, line, _ in lines(folder, start=_segment_of(folder, after + 1)):
        if line.seq > after:
            yield line.seq, entry_of(line, where(folder, place))


def lines(folder: str | Path, *, start: Place = _BEGINNING) -> Iterator[Placed]:
    """Every line from a place on where one begins, with its hash checked.

    Lines come when the signature that ends their commit is there: a crash takes back what has none.

    Raises:
        LedgerError: no ledger, or a line that is not a record.
    """
    folder = Path(folder)
    files = segments_of(folder)
    for path in files:
        number = number_of(path)
        if number < start.segment:
            continue
        byte = start.byte if number == start.segment else 0
        commit: list[Placed] = []
        try:
            with path.open("rb") as file:
                file.seek(byte)
                for data in file:
                    if not data.endswith(b"\n") and path == files[-1]:
                        return
                    place, byte = Place(number, byte), byte + len(data)
                    line = _decoded(folder, place, data)
                    commit.append(Placed(place, line, Place(number, byte)))
                    if line.signature:
                        yield from commit
                        commit.clear()
        except OSError as error:
            if not path.exists() and segments(folder)[:1] > [path]:
                continue  # it was purged meanwhile
            raise LedgerError(f"cannot read the ledger {folder}: {error}") from error


def segments_of(folder: Path) -> list[Path]:
    """The segment files of a ledger, in order.

    Raises:
        LedgerError: this is not a ledger.
    """
    files = segments(folder)
    if not files and not (folder / CHECKPOINT).exists():
        raise LedgerError(f"{folder} is not a ledger", "give the folder of a ledger")
    return files


def line_at(folder: str | Path, place: Place) -> Line:
    """The one line that begins at a place.

    Raises:
        LedgerError: none does.
    """
    folder = Path(folder)
    try:
        with (folder / segment_name(place.segment)).open("rb") as file:
            file.seek(place.byte)
            data = file.readline()
    except OSError as error:
        raise LedgerError(f"cannot read the ledger {folder}: {error}") from error
    return _decoded(folder, place, data)


def entry_of(line: Line, told: str) -> Record | Event:
    """The record or event of a line.

    Raises:
        LedgerError: it is neither; the message begins with `told`, where it stands.
    """
    try:
        return _KINDS.get(line.record.get("kind"), Record).model_validate(line.record)
    except ValueError as error:  # pydantic's ValidationError is one
        raise _not_a_record(told, error) from error


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
    raise not_one(folder, record_id, several=bool(similar))


def not_one(folder: str | Path, record_id: str, *, several: bool) -> LedgerError:
    """The error that this beginning of an id is not that of one record."""
    return LedgerError(
        f"{'several records' if several else 'no record'} in {folder} with an id starting with "
        f"{record_id!r}",
        f"see the ids: safegen audit query {folder}",
    )


def _segment_of(folder: Path, seq: int) -> Place:
    """The beginning of the last segment that begins with this number or an earlier one."""
    for path in reversed(segments(folder)[1:]):
        place = Place(number_of(path))
        first = next(lines(folder, start=place), None)
        if first is not None and first.line.seq <= seq:
            return place
    return _BEGINNING


def _decoded(folder: Path, place: Place, data: bytes) -> Line:
    try:
        return decode(data)
    except ValueError as error:
        raise _not_a_record(where(folder, place), error) from error


def where(folder: Path, place: Place) -> str:
    """The place in words, for messages."""
    return f"{folder / segment_name(place.segment)}, byte {place.byte},"


def _not_a_record(told: str, error: ValueError) -> LedgerError:
    return LedgerError(f"{told} is not a record: {error}", "run: safegen audit verify")
