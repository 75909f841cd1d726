"""The images of an archive, a unit of work at a time: files of a folder, rows of a Parquet table.

Nothing is held but the unit at hand and the folders still to be listed, however many files there
are. What cannot be listed is an image with an error: an audit leaves nothing out in silence.
"""

import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import IO, Any

from safegen.audit.images import SIGNATURE, SUFFIXES, has_signature
from safegen.errors import InputError, MissingExtraError

MAX_BYTES = 256 * 2**20
"""The largest file that is read; a scan holds a file as a whole, once."""
MAX_ROWS = 1_000_000
"""The most rows of one row group; the names of a row group are held at once."""
UNIT = 64  # files that a worker is given at once
_TABLE = ".parquet"
_ROWS = 16
# Images all the same: they are errors, for nobody has looked at them.
_UNREADABLE = (
    ".arw", ".avifs", ".cr2", ".cr3", ".cur", ".dds", ".dng", ".emf", ".eps", ".exr", ".flif",
    ".hdr", ".heic", ".heics", ".heif", ".heifs", ".hif", ".icns", ".ico", ".j2c", ".j2k", ".jls",
    ".jp2", ".jpc", ".jpf", ".jpm", ".jpx", ".jxl", ".jxr", ".kra", ".mng", ".nef", ".nrw", ".orf",
    ".pam", ".pcx", ".pef", ".pfm", ".psb", ".psd", ".qoi", ".raf", ".rw2", ".sgi", ".srw", ".svg",
    ".svgz", ".tga", ".wbmp", ".wdp", ".wmf", ".xbm", ".xcf", ".xpm",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One image: what it is called, where it is, and the digest it had when it was looked at."""

    name: str
    path: str
    known: str = ""
    error: str = ""


@dataclass(frozen=True)
class Read:
    """The bytes of an image, or why there are none."""

    item: Item
    data: bytes = b""
    error: str = ""


@dataclass(frozen=True)
class Rows:
    """A row group of a Parquet table, and the column that holds its images."""

    path: str
    group: int
    column: str


@dataclass(frozen=True)
class WorkUnit:
    """A few images that one worker looks at."""

    items: tuple[Item, ...]
    rows: Rows | None = None

    def dump(self) -> str:
        """As text, for another process; paths that are no UTF-8 come through."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "WorkUnit":
        """From `dump`."""
        told = json.loads(text)
        rows = Rows(**told["rows"]) if told["rows"] else None
        return cls(tuple(Item(**item) for item in told["items"]), rows)

    def read(self) -> Iterator[Read]:
        """Every image, one after the other, in the order of the items."""
        if self.rows is None:
            yield from map(_read_item, self.items)
            return
        values = _cells(self.rows)
        for number, item in enumerate(self.items):
            try:
                value = next(values)
            except Exception as error:  # noqa: BLE001 - whatever a damaged table leads to
                reason = f"the table cannot be read: {type(error).__name__}: {error}"
                yield from (Read(each, error=reason) for each in self.items[number:])
                return
            yield _read_cell(item, value, Path(self.rows.path).parent)


@dataclass
class Listing:
    """What there is to scan, and what is left out.

    Args:
        where: a folder, a file, or a pattern with `*`, `?`, `[…]` and `**`.
        column: of Parquet tables, which holds images: bytes, paths, or structs of both.
        every_file: look at every file, whatever its name and first bytes.
        without: absolute paths that are left out: what the scan itself writes.
    """

    where: str
    column: str = "image"
    every_file: bool = False
    without: frozenset[Path] = frozenset()
    skipped: int = field(default=0, init=False)
    """Files that are no images by their name and first bytes."""
    linked_folders: int = field(default=0, init=False)
    """Links to folders: they are not followed, for they may lead in circles."""

    def units(self) -> Iterator[WorkUnit]:
        """Everything, in whatever order the file system gives it.

        Raises:
            InputError: there is nothing there.
        """
        return self._units(self._start())

    def _units(self, found: Iterator[Item]) -> Iterator[WorkUnit]:
        while chunk := list(islice(found, UNIT)):
            for item in (each for each in chunk if _is_table(each)):
                yield from self._table(item)
            if plain := tuple(each for each in chunk if not _is_table(each)):
                yield WorkUnit(plain)

    def _start(self) -> Iterator[Item]:
        if Path(self.where).is_dir():
            return self._walk(self.where)
        if os.path.lexists(self.where):
            return iter([Item(_name(Path(self.where).name), self.where)])
        parts = Path(self.where).parts
        magic = next((i for i, part in enumerate(parts) if has_magic(part)), None)
        root = str(Path(*parts[:magic]))
        if magic is None or not Path(root).is_dir():
            raise InputError(
                f"there is no file or folder {self.where}",
                "give a folder, a file, a Parquet table, or a pattern such as 'archive/**/*.png'",
            )
        return self._walk(root, parts[magic:])

    def _walk(self, root: str, pattern: Sequence[str] = ()) -> Iterator[Item]:
        """Every file below `root` that is to be looked at."""
        deepest = len(pattern) if pattern and "**" not in pattern else None
        folders = [(root, "")]
        while folders:
            folder, inner = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        name = f"{inner}{entry.name}"
                        if self._is_without(entry):
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            if deepest is None or name.count("/") + 1 < deepest:
                                folders.append((entry.path, f"{name}/"))
                        elif not pattern or _fits(name.split("/"), pattern):
                            yield from self._wanted(entry, name)
            except OSError as error:
                told = f"the folder cannot be listed: {error.strerror}"
                yield Item(_name(inner or "."), folder, error=told)

    def _wanted(self, entry: os.DirEntry[str], name: str) -> Iterator[Item]:
        if entry.is_symlink() and Path(entry.path).is_dir():
            self.linked_folders += 1
        elif self.every_file or _is_image(entry.path):
            yield Item(_name(name), entry.path)
        else:
            self.skipped += 1

    def _is_without(self, entry: os.DirEntry[str]) -> bool:
        names = {path.name for path in self.without}
        return entry.name in names and Path(entry.path).resolve() in self.without

    def _table(self, item: Item) -> Iterator[WorkUnit]:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtraError("pyarrow", "parquet", "reading Parquet") from error
        try:
            with _opened(item.path) as file:
                table = pyarrow.parquet.ParquetFile(file)
                names = table.schema_arrow.names
                if self.column not in names:
                    raise ValueError(f"there is no column {self.column!r}; there are {names}")
                groups = [table.metadata.row_group(i) for i in range(table.num_row_groups)]
                counts = [group.num_rows for group in groups]
                if max(counts, default=0) > MAX_ROWS:
                    raise ValueError(f"a row group has {max(counts)} rows, at most {MAX_ROWS} may")
        except (OSError, ValueError, InputError, pyarrow.ArrowException) as error:
            yield WorkUnit((replace(item, error=f"the table cannot be read: {error}"),))
            return
        first = 0
        for group, count in enumerate(counts):
            items = (Item(f"{item.name}/{first + i}", item.path) for i in range(count))
            yield WorkUnit(tuple(items), Rows(item.path, group, self.column))
            first += count


def _name(path: str) -> str:
    """A path as text, of which no two are alike."""
    return os.fsencode(path).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def _is_table(item: Item) -> bool:
    return item.path.lower().endswith(_TABLE) and not item.error


def _is_image(path: str) -> bool:
    """By name, or by first bytes; a file that cannot be opened may be one."""
    if path.lower().endswith((*SUFFIXES, *_UNREADABLE, _TABLE)):
        return True
    try:
        with _opened(path) as file:
            return has_signature(file.read(SIGNATURE))
    except (OSError, InputError):
        return not Path(path).exists() or Path(path).is_file()


def _fits(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path fits, part by part; `**` is any number of folders."""
    if not pattern or not path:
        return not pattern and not path
    if pattern[0] == "**":
        rest = pattern[1:]
        return not rest or any(_fits(path[start:], rest) for start in range(len(path)))
    return fnmatchcase(path[0], pattern[0]) and _fits(path[1:], pattern[1:])


def _opened(path: str) -> IO[bytes]:
    """A file for reading; what is no file, such as a pipe, would be waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError("it is no file")
    return os.fdopen(handle, "rb")


def _read_item(item: Item) -> Read:
    if item.error:
        return Read(item, error=item.error)
    try:
        with _opened(item.path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a path in a table may hold anything
        return Read(item, error=f"it cannot be read: {getattr(error, 'strerror', error)}")
    except InputError as error:
        return Read(item, error=error.message)
    if len(data) > MAX_BYTES:
        return Read(item, error=f"expected at most {MAX_BYTES} bytes, got more")
    return Read(item, data)


def _cells(rows: Rows) -> Iterator[Any]:
    import pyarrow.parquet

    with _opened(rows.path) as file:
        table = pyarrow.parquet.ParquetFile(file)
        for batch in table.iter_batches(_ROWS, row_groups=[rows.group], columns=[rows.column]):
            for value in batch.column(0):
                yield value.as_py()


def _read_cell(item: Item, value: Any, folder: Path) -> Read:
    if isinstance(value, dict):  # as Hugging Face's datasets write images
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return Read(item, value)
    if isinstance(value, str):
        return _read_item(replace(item, path=str(folder / value)))
    return Read(item, error=f"expected bytes or a path in its cell, got {type(value).__name__}")
