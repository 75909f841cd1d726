"""Marked images as files, where ComfyUI writes what a graph puts out."""

import io
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from safegen.climb import GuardedImage
from safegen.errors import InputError, OutputError
from safegen.files import write_file

PREFIX = "marked"
"""How marked files are called where nothing else is said."""
Shown = dict[str, str]
"""A file as ComfyUI's page asks for it: filename, subfolder, and of which of its folders."""


def demand_place(prefix: str) -> None:
    """Check that files can be called so, before images are made that could not be written.

    Raises:
        InputError: they would not be in ComfyUI's output folder.
    """
    _place(prefix, (0, 0))


def write_marked(
    images: Sequence[GuardedImage], prefix: str, record: str
) -> tuple[Shown | None, ...]:
    """Write the marked files of a request that is on record: all of them, or none.

    They are called as Save Image would call them, and never take the place of another.

    Args:
        images: those of the request; of one without a marked file, None comes back.
        prefix: of their names, below ComfyUI's output folder.
        record: the request's.

    Raises:
        OutputError: one cannot be written.
    """
    written: list[Path] = []
    shown: list[Shown | None] = []
    try:
        for each in images:
            if each.marked is None or each.image is None:
                shown.append(None)
                continue
            folder, name, number, below = _place(prefix, each.image.size)
            kind = _kind(each.marked)
            names = (f"{name}_{n:05}_.{kind}" for n in count(number))
            path = next(folder / name for name in names if not (folder / name).exists())
            written.append(path)
            write_file(path, each.marked)
            shown.append({"filename": path.name, "subfolder": below, "type": "output"})
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError | InputError):
            said = error.message if isinstance(error, InputError) else error
            raise OutputError(
                f"no image comes out: {said}",
                f"once files can be written, queue it again; the record {record} names files that "
                "nobody got",
            ) from error
        raise
    return tuple(shown)


def pictures(images: Tensor, files: Sequence[Shown | None]) -> list[Shown]:
    """What the page shows of images [B, H, W, 3]: their marked files, and previews of the rest."""
    from nodes import PreviewImage

    rest = [row for row, file in enumerate(files) if file is None]
    made: Any = PreviewImage().save_images(images[rest])["ui"]["images"] if rest else ()
    previews = iter(made)
    return [file or next(previews) for file in files]


def _place(prefix: str, size: tuple[int, int]) -> tuple[Path, str, int, str]:
    """Folder, name, first free number, and the folder as it is below ComfyUI's outputs."""
    import folder_paths

    outputs = folder_paths.get_output_directory()
    try:
        folder, name, number, below, _ = folder_paths.get_save_image_path(prefix, outputs, *size)
    except Exception as error:  # ComfyUI has no narrower one
        raise InputError(
            f"filename_prefix {prefix!r} names no place in ComfyUI's output folder: {error}",
            f"give one that does, such as {PREFIX!r}",
        ) from error
    return Path(folder), name, number, below


def _kind(file: bytes) -> str:
    """What a name ends in; a marker may be one of another pack's."""
    with Image.open(io.BytesIO(file)) as image:
        return (image.format or "").lower()
