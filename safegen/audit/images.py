"""Pictures of any kind as what a viewer sees: RGB, upright, and never more than fits in memory."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from safegen.audit.colours import has_own_colours, renderings
from safegen.errors import InputError

MAX_PIXELS = 64_000_000
"""Pixels of all frames of one file together: about 256 MB as Pillow holds them."""
MAX_FRAMES = 64
# What browsers and cameras write. Pillow's other readers are seldom used and seldom tested.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (
    ".apng", ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png",
    ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""How the names of files of these formats end."""
_EIGHT_BITS, _SIXTEEN_BITS = 255, 65535
# Formats whose first bytes cannot be those of a text by chance.
_SIGNED = ("AVIF", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
SIGNATURE = 16
"""How many of a file's first bytes `has_signature` looks at."""


@dataclass(frozen=True)
class Picture:
    """A file that was read: every way in which it can be seen, and what it is."""

    views: tuple[Image.Image, ...]
    format: str
    mode: str
    width: int
    height: int
    frames: int


def views(source: Path | bytes, name: str = "") -> list[Image.Image]:
    """Every way in which a file can be seen; see `read_picture`."""
    return list(read_picture(source, name).views)


def read_picture(source: Path | bytes, name: str = "") -> Picture:
    """A file in all ways in which it can be seen.

    Each frame; on two backdrops if transparent; with and without its ICC profile or gamma where
    these change much. A detector that looks at one of them is shown nothing of the others.

    Args:
        source: path of the file, or its bytes.
        name: what to call it in errors; by default its path.

    Raises:
        InputError: it is no image, damaged, too large, or of a kind that has no one meaning.
    """
    name = name or (str(source) if isinstance(source, Path) else "the image")
    try:
        file = source if isinstance(source, Path) else io.BytesIO(source)
        with Image.open(file, formats=_formats()) as opened:
            kind = (opened.format or "", opened.mode, opened.width, opened.height)
            if isinstance(opened.info.get("transparency"), tuple) and "16B" in str(opened.tile):
                # Pillow cuts colours down to eight bits, and does not find this one among them.
                raise InputError(
                    f"{name}: expected a transparent colour of 8 bits a channel, got one of 16",
                    "save the picture with 8 bits a channel, or with an alpha channel",
                )
            frames = [_looks(frame) for frame in _frames(opened, name)]
            return Picture(tuple(view for each in frames for view in each), *kind, len(frames))
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        unknown = isinstance(error, UnidentifiedImageError)
        got = "something else" if unknown else f"{type(error).__name__}: {error}"
        raise InputError(
            f"{name}: expected an image ({', '.join(FORMATS)}), got {got}",
            "give a whole file of one of these formats",
        ) from error


def as_rgb(image: Image.Image) -> Image.Image:
    """The picture as 8-bit RGB, upright, in its own colours, on white where it is transparent.

    Raises:
        InputError: it cannot be read, or its values have no one meaning as light.
    """
    try:
        image.load()
        if image.mode == "RGB" and not (
            image.has_transparency_data or has_own_colours(image) or image.getexif()
        ):
            return image
        return _looks(image)[0]
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(
            f"expected a picture that can be read, got {type(error).__name__}: {error}",
            "load it as a whole before it is looked at",
        ) from error


def has_signature(start: bytes) -> bool:
    """Whether a file that starts so is an image, whatever its name says."""
    accepts = (Image.OPEN[name][1] for name in _formats() if name in _SIGNED)
    return any(accept(start) for accept in accepts if accept)


@cache
def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow reads: old ones know no AVIF."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _frames(opened: Image.Image, name: str) -> Iterator[Image.Image]:
    pixels = opened.width * opened.height
    for number, frame in enumerate(ImageSequence.Iterator(opened), start=1):
        if number > MAX_FRAMES or number * pixels > MAX_PIXELS:
            raise InputError(
                f"{name}: expected at most {MAX_FRAMES} frames and {MAX_PIXELS} pixels, "
                f"got {opened.width}x{opened.height} and at least {number} frame(s)",
                "scale it down, or look at its frames one by one",
            )
        yield frame


def _looks(image: Image.Image) -> list[Image.Image]:
    upright = ImageOps.exif_transpose(_eight_bits(image))
    return [seen for shown in renderings(upright) for seen in _backdrops(shown)]


def _backdrops(image: Image.Image) -> list[Image.Image]:
    if not image.has_transparency_data:
        return [image.convert("RGB")]
    layered = image.convert("RGBA")
    if layered.getchannel("A").getextrema() == (255, 255):
        return [layered.convert("RGB")]
    return [
        Image.alpha_composite(Image.new("RGBA", layered.size, colour), layered).convert("RGB")
        for colour in ("white", "black")
    ]


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of more than eight bits brought down to eight; Pillow's own conversion cuts it off."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode == "F" or values.min(initial=0) < 0 or values.max(initial=0) > _SIXTEEN_BITS:
        raise InputError(
            f"expected grey values from 0 to {_SIXTEEN_BITS}, got the mode {image.mode!r} with "
            f"{values.min(initial=0):g} to {values.max(initial=0):g}",
            "save the picture with 8 or 16 bits a channel",
        )
    eight = Image.fromarray((values >> 8).astype(np.uint8))
    eight.info = dict(image.info)
    if isinstance(clear := eight.info.pop("transparency", None), int):
        eight.putalpha(Image.fromarray((values != clear).astype(np.uint8) * _EIGHT_BITS))
    eight.getexif().update(image.getexif())
    return eight
