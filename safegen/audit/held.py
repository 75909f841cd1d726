"""Pictures that were flagged or withheld, kept so that reviewers can see them.

The ledger holds no pictures. An `ImageStore` is a folder with one PNG file an image, named by the
digest of its size and pixels; a record names it, and so proves which picture it was.
"""

import io
import os
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from PIL import Image

from safegen.audit.ledger.files import sync_folder, write_durably
from safegen.errors import InputError, OutputError
from safegen.pixels import pixels_digest

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_STAGED = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{32}(\.part)?", re.ASCII)


class ImageStore:
    """A folder of held images, each readable by its owner only."""

    def __init__(self, folder: str | Path) -> None:
        """Use the folder, made with mode 0700 if missing.

        Raises:
            OutputError: it cannot be made.
        """
        self.folder = Path(folder)
        self._intact: dict[str, tuple[int, int, int]] = {}
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the folder of held images {folder}: {error.strerror}",
                "choose a folder you can write to",
            ) from error

    @classmethod
    def existing(cls, folder: str | Path) -> Self:
        """Use the folder if it is there, for who keeps nothing in it.

        Raises:
            InputError: it is not.
        """
        if not os.path.isdir(folder):  # noqa: PTH112 - of what may not be looked at, False
            raise InputError(
                f"there is no folder of held images {folder}",
                "give the folder that the guard has as `held_images`, which it makes",
            )
        return cls(folder)

    def put(self, image: Image.Image) -> str:
        """Keep an image, durably; gives its digest. Nothing of how it was made is kept.

        Raises:
            OutputError: it cannot be written.
        """
        plain = image.convert("RGB")
        digest = pixels_digest(plain)
        plain.info.clear()
        buffer = io.BytesIO()
        plain.save(buffer, "PNG")
        path = self._path(digest)
        staged = path.with_name(f"{digest}.{uuid.uuid4().hex}")  # others may keep the same one
        try:
            write_durably(staged, buffer.getvalue(), mode=0o600)
            staged.replace(path)
            sync_folder(self.folder)
        except OSError as error:
            raise OutputError(
                f"cannot keep an image in {self.folder}: {error.strerror}",
                "mend the folder or the disk; without it no flagged image passes",
            ) from error
        finally:
            with suppress(OSError):  # what failed is told first
                staged.unlink(missing_ok=True)
        return digest

    def get(self, digest: str) -> Image.Image | None:
        """The image with this digest; None if it is not there, or no longer what it was.

        Raises:
            InputError: this is no digest.
        """
        try:
            with Image.open(self._path(digest), formats=("PNG",)) as opened:
                image = opened.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            return None
        return image if pixels_digest(image) == digest else None

    def has(self, digest: str) -> bool:
        """Whether an image of this name is kept; `get` looks whether it is still what it was."""
        return bool(_DIGEST.fullmatch(digest)) and self._path(digest).is_file()

    def intact(self, digest: str) -> bool:
        """Whether `get` gives the image; looked up anew only where the file changed."""
        if not _DIGEST.fullmatch(digest):
            return False
        try:
            found = self._path(digest).stat()
        except OSError:
            return False
        state = (found.st_ino, found.st_mtime_ns, found.st_size)
        if self._intact.get(digest) != state:
            if self.get(digest) is None:
                return False
            self._intact[digest] = state
        return True

    def kept_before(self, moment: float) -> list[str]:
        """The digests of the images that were last kept before a moment (seconds since 1970)."""
        found = (path.stem for path in self.folder.glob("*.png"))
        names = filter(_DIGEST.fullmatch, found)
        return [each for each in names if _is_older(self._path(each), moment)]

    def delete(self, digests: Iterable[str], moment: float) -> int:
        """Delete those of these images that were last kept before a moment; gives how many.

        Raises:
            OutputError: one cannot be deleted.
        """
        return sum(_dropped(self._path(digest), moment) for digest in digests)

    def clear(self, moment: float) -> int:
        """Delete what processes killed before a moment had written of images; gives how many files.

        Raises:
            OutputError: one cannot be deleted.
        """
        staged = [path for path in self.folder.glob("*.*") if _STAGED.fullmatch(path.name)]
        return sum(_dropped(path, moment) for path in staged)

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InputError(
                f"{digest!r} is no SHA-256 of an image", "give 64 lower-case hexadecimal digits"
            )
        return self.folder / f"{digest}.png"


def _is_older(path: Path, moment: float) -> bool:
    try:
        return path.lstat().st_mtime < moment
    except FileNotFoundError:
        return False


def _dropped(path: Path, moment: float) -> bool:
    """Delete a file that was last written before a moment; whether it was one."""
    try:
        if not _is_older(path, moment):
            return False
        path.unlink()
    except FileNotFoundError:
        return False  # another one was quicker
    except OSError as error:
        raise OutputError(f"cannot delete {path}: {error.strerror}") from error
    return True
