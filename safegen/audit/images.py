"""Pictures of any kind as what a viewer sees: RGB, upright, and never more than fits in memory."""

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from safegen.errors import InputError

MAX_PIXELS = 64_000_000
"""Pixels of all frames of one file together: about 256 MB as Pillow holds them."""
MAX_FRAMES = 64
# What browsers and cameras write. Pillow's other readers are seldom used and seldom tested.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_SIXTEEN_BITS = 65535


def views(source: Path | bytes, name: str = "") -> list[Image.Image]:
    """Every way in which a file can be seen: each frame, a transparent one on white and on black.

    A detector that looks at one frame, or at one backdrop, is shown nothing of the others.

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
            return [view for frame in _frames(opened, name) for view in _backdrops(frame)]
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise InputError(
            f"{name}: expected an image ({', '.join(FORMATS)}), got "
            f"{type(error).__name__}: {error}",
            "give a whole file of one of these formats",
        ) from error


def as_rgb(image: Image.Image) -> Image.Image:
    """The picture as 8-bit RGB, upright, on white where it is transparent.

    Raises:
        InputError: it cannot be read, or its values have no one meaning as light.
    """
    try:
        image.load()
        return image if image.mode == "RGB" and not image.getexif() else _backdrops(image)[0]
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(
            f"expected a picture that can be read, got {type(error).__name__}: {error}",
            "load it as a whole before it is looked at",
        ) from error


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


def _backdrops(image: Image.Image) -> list[Image.Image]:
    image = ImageOps.exif_transpose(_eight_bits(image))
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
    eight.info = image.info
    eight.getexif().update(image.getexif())
    return eight
