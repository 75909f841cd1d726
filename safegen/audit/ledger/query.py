"""Read a ledger's records, as far as they were signed. That none is missing `verify` says."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from pydantic import ValidationError

from safegen.audit.ledger import standalone
from safegen.audit.ledger.event import VERSION
from safegen.audit.ledger.format import (
    CHECKPOINT,
    VERIFY,
    Line,
    check_with,
    link,
    number_of,
    segment_name,
    segments,
    unpacked,
)
from safegen.audit.ledger.keys import load_public_key
from safegen.audit.ledger.standalone import (
    LONGEST_LINE,
    PUBLIC_KEY,
    Check,
    line_statement,
    parse_line,
)
from safegen.errors import LedgerError, LedgerTamperedError, Tampering
from safegen.nouns import Event, Record

_KINDS: dict[object, type[Record | Event]] = {"event": Event}


class Place(NamedTuple):
    """Where a line stands: the number of its segment, and its first byte in there."""

    segment: int = 0
    byte: int = 0


_BEGINNING = Place()
_AT_ONCE = 128  # commits for which one signature is checked, which takes longer than reading one
_REMEMBERED = 100_000  # hashes
_Given = TypeVar("_Given")


class Placed(NamedTuple):
    """A line with its place, and the place where the next one begins."""

    place: Place
    line: Line
    end: Place


class _Read(NamedTuple):
    """A line that matches its hash, as long as no signature vouches for it."""

    place: Place
    line: standalone.Line
    data: bytes


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


def lines(
    folder: str | Path,
    *,
    start: Place = _BEGINNING,
    after: tuple[int, str] | None = None,
    check: Check | None = None,
) -> Iterator[Placed]:
    """Every line from a place on where one begins, each following the one before, and vouched for.

    Lines come when the signature that ends their commit is there: a crash takes back what has none.

    Args:
        folder: the ledger.
        start: where to begin.
        after: number and hash of the line before that place, if they are known.
        check: verifies signatures; by default under the folder's `public.pem`.

    Raises:
        LedgerTamperedError: a line does not follow, or was not signed with the ledger's key.
        LedgerError: no ledger, or a line that is not a record. What stands before comes first.
    """
    folder = Path(folder)
    files = segments_of(folder)
    check = check or check_with(load_public_key(folder / PUBLIC_KEY))
    for path in files:
        number = number_of(path)
        if number < start.segment:
            continue
        place = start if number == start.segment else Place(number)
        try:
            with path.open("rb") as file:
                file.seek(place.byte)
                commits = _commits(folder, place, file, after, last=path == files[-1])
                more = True
                while more:
                    batch, failure = taken(commits, _AT_ONCE)
                    yield from _vouched(folder, batch, check)
                    if failure is not None:
                        raise failure
                    if batch:
                        after = batch[-1][-1].line.seq, batch[-1][-1].line.hash
                    more = len(batch) == _AT_ONCE
        except OSError as error:
            if not path.exists() and segments(folder)[:1] > [path]:
                after = None
                continue  # it was purged meanwhile
            raise LedgerError(f"cannot read the ledger {folder}: {error}") from error


def taken(given: Iterable[_Given], count: int) -> tuple[list[_Given], LedgerError | None]:
    """The next ones, up to so many, and what is wrong with the one after them, if anything is."""
    batch: list[_Given] = []
    try:
        for each in given:
            batch.append(each)
            if len(batch) == count:
                break
    except LedgerError as error:
        return batch, error
    return batch, None


def _commits(
    folder: Path, place: Place, file: Iterable[bytes], after: tuple[int, str] | None, *, last: bool
) -> Iterator[list[_Read]]:
    """The lines of a segment by commits, which end with a signature; each follows the one before.

    Where others may still be writing, in the last segment, half a line ends them.
    """
    commit: list[_Read] = []
    for data in file:
        if not data.endswith(b"\n") and last:
            return
        line = _parsed(folder, place, data)
        if after is not None and (line.seq - 1, line.prev) != after:
            raise _tampered(
                folder,
                after[0] + 1,
                f"line {line.seq} does not follow line {after[0]}",
                Tampering.REMOVED if line.seq > after[0] + 1 else Tampering.FORKED,
            )
        after = line.seq, line.hash
        commit.append(_Read(place, line, data))
        place = place._replace(byte=place.byte + len(data))
        if line.signature:
            yield commit
            commit = []


def _vouched(folder: Path, commits: Sequence[list[_Read]], check: Check) -> Iterator[Placed]:
    """The lines of commits that follow each other.

    The last signature vouches for all of them; the others are looked at only if it is wrong.

    Raises:
        LedgerTamperedError: one is not of the ledger's key; what stands before comes first.
    """

    def right(commit: list[_Read]) -> bool:
        _, line, data = commit[-1]
        return check(line_statement(data), bytes.fromhex(line.signature))

    whole = commits
    if commits and not right(commits[-1]):
        whole = list(takewhile(right, commits))
    for commit in whole:
        yield from (_placed(folder, each) for each in commit)
    if len(whole) < len(commits):
        first, last = (commits[len(whole)][end].line.seq for end in (0, -1))
        raise _tampered(
            folder,
            first,
            f"line {last} is not signed with this ledger's key, or one of the lines from {first} "
            "on was changed",
            Tampering.ALTERED,
        )


def _tampered(folder: Path, seq: int, told: str, kind: Tampering) -> LedgerTamperedError:
    return LedgerTamperedError(f"{folder}: {told}", seq, VERIFY, kind=kind)


def segments_of(folder: Path) -> list[Path]:
    """The segment files of a ledger, in order.

    Raises:
        LedgerError: this is not a ledger.
    """
    files = segments(folder)
    if not files and not (folder / CHECKPOINT).exists():
        raise LedgerError(f"{folder} is not a ledger", "give the folder of a ledger")
    return files


class SingleLines:
    """The lines of a ledger one by one, wherever an index or a cursor says that they stand.

    A line is given if it leads, each line following the one before, to a signature of its commit:
    then the ledger's writer wrote it, whoever says where it is. Whether lines are missing, or
    changed elsewhere, `verify` says.
    """

    def __init__(self, folder: str | Path, check: Check | None = None) -> None:
        """Read the ledger in this folder.

        Args:
            folder: the ledger.
            check: verifies signatures; by default under the folder's `public.pem`.
        """
        self._folder, self._given = Path(folder), check
        self._vouched: set[str] = set()  # hashes of lines; neighbours are often asked for

    @cached_property
    def _check(self) -> Check:
        return self._given or check_with(load_public_key(self._folder / PUBLIC_KEY))

    def at(self, place: Place) -> Line:
        """The one line that begins at a place.

        Raises:
            LedgerTamperedError: no signature vouches for it.
            LedgerError: none begins there, or it cannot be read.
        """
        if place.segment < 0:  # nobody verifies what is in a file of such a name
            raise LedgerError(f"{self._folder} has no segment {place.segment}", VERIFY)
        try:
            with (self._folder / segment_name(place.segment)).open("rb") as file:
                file.seek(max(place.byte, 0))
                data = file.readline(LONGEST_LINE)
                line = _parsed(self._folder, place, data)
                self._require_signature(line.seq, data, file)
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {self._folder}: {error}") from error
        return _placed(self._folder, _Read(place, line, data)).line

    def _require_signature(self, seq: int, data: bytes, file: IO[bytes]) -> None:
        """Follow the lines from this one on to one that is signed, or is known to lead to one."""
        prev, last, signature = link(data)
        hashes = [last]
        while last not in self._vouched:
            if signature and self._check(line_statement(data), signature):
                break
            data = file.readline(LONGEST_LINE)
            before, last, following = link(data)
            if signature or before != hashes[-1]:
                raise _tampered(
                    self._folder,
                    seq,
                    f"no signature of this ledger's key vouches for line {seq}",
                    Tampering.ALTERED,
                )
            hashes.append(last)
            signature = following
        if len(self._vouched) > _REMEMBERED:
            self._vouched.clear()
        self._vouched.update(hashes, [prev])


def entry_of(line: Line, told: str) -> Record | Event:
    """The record or event of a line.

    Raises:
        LedgerError: it is neither; the message begins with `told`, where it stands.
    """
    try:
        return _KINDS.get(line.record.get("kind"), Record).model_validate(line.record)
    except ValidationError as error:
        other = line.record.get("safegen")
        kinds = {each["type"] for each in error.errors(include_url=False)}
        if other != VERSION and isinstance(other, str) and "extra_forbidden" in kinds:
            raise LedgerError(
                f"{told} was written by SafeGen {other}, and holds what {VERSION} does not know",
                "read it with that version or a newer one",
            ) from error
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


def _parsed(folder: Path, place: Place, data: bytes) -> standalone.Line:
    try:
        return parse_line(data)
    except ValueError as error:
        raise _not_a_record(where(folder, place), error) from error


def _placed(folder: Path, read: _Read) -> Placed:
    place, line, data = read
    try:
        return Placed(place, unpacked(line), Place(place.segment, place.byte + len(data)))
    except ValueError as error:
        raise _not_a_record(where(folder, place), error) from error


def where(folder: Path, place: Place) -> str:
    """The place in words, for messages."""
    return f"{folder / segment_name(place.segment)}, byte {place.byte},"


def _not_a_record(told: str, error: ValueError) -> LedgerError:
    return LedgerError(f"{told} is not a record: {error}", VERIFY)
