"""Files that are written as a whole, and whose they are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from safegen.errors import OutputError


def write_file(path: Path, data: bytes) -> None:
    """Write a file as a whole, through a part beside it, or not at all; see `whole`.

    Raises:
        OutputError: it cannot be written.
    """
    with whole(path) as part:
        part.write_bytes(data)


def write_png(path: Path, image: Image.Image) -> None:
    """Write a picture as a whole, or not at all; see `whole`.

    Raises:
        OutputError: it cannot be written.
    """
    with whole(path) as part:
        image.save(part, "PNG")


def open_or_make(path: Path, mode: int) -> int:
    """A file's descriptor for reading and writing; it is made if missing, see `hand_over`.

    Raises:
        OSError: it cannot be opened or made.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CREAT, mode)
    try:
        hand_over(file, path.parent)
    except OSError:
        os.close(file)
        raise
    return file


def hand_over(file: int, folder: Path) -> None:
    """Give a file that root has just made there to the folder's owner, who is to go on writing it.

    Raises:
        OSError: it cannot be given away.
    """
    owner = folder.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        os.fchown(file, owner, -1)


def demand_no_folder(path: Path) -> None:
    """Check that a file can stand there, before what it is to hold is made.

    Raises:
        OutputError: a folder does.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder", "name a file in it")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` once the block ends well.

    Else nothing is left of it. A link is followed, and a device or a pipe is written to.

    Raises:
        OutputError: it cannot be written.
    """
    demand_no_folder(path)
    stays = path.exists() and not path.is_file()
    target = path if stays else path.resolve()
    part = path if stays else target.with_name(f"{target.name}.part")
    try:
        yield part
        if not stays:
            part.replace(target)
    except BaseException as error:
        if not stays:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {path}: {error}", "give another path") from error
        raise
