"""What a picture's values mean as colours: by its ICC profile, by a PNG's gamma, or as sRGB.

Browsers go by profile and gamma, many other programs by neither. So a picture can be told from a
flat patch by some viewers alone.
"""

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from safegen.errors import InputError

_ALIKE = 8  # levels of 255: what sRGB is written as, rounded, is still seen as one picture
_GAMMA = 2.2
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def has_own_colours(image: Image.Image) -> bool:
    """Whether the picture says what its values mean."""
    return bool(image.info.get("icc_profile")) or _gamma(image) is not None


def renderings(image: Image.Image) -> list[Image.Image]:
    """As it says it is to be shown, and the bare values where these look otherwise.

    Raises:
        InputError: its ICC profile cannot be read.
    """
    if not has_own_colours(image):
        return [image]
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    bare = image.copy()
    bare.info.pop("transparency", None)
    profile, gamma = image.info.get("icc_profile"), _gamma(image)
    meant = _by_profile(bare, profile) if profile else _by_gamma(bare, gamma or 1 / _GAMMA)
    bare = bare.convert("RGB")
    apart = np.abs(np.asarray(meant, np.int16) - np.asarray(bare, np.int16)).max(initial=0)
    shown = [meant, bare] if apart > _ALIKE else [meant]
    for each in shown:
        each.info.clear()
        if alpha is not None:
            each.putalpha(alpha)
    return shown


def _gamma(image: Image.Image) -> float | None:
    """A PNG's gamma, unless the file says sRGB as well, which then holds."""
    gamma = image.info.get("gamma")
    return gamma if gamma and "srgb" not in image.info else None


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(source.profile.xcolor_space.strip(), "")
        plain = image if image.mode in _MODES.values() else image.convert(_plain(image.mode))
        if mode == "RGB" and plain.mode == "L":
            plain = plain.convert("RGB")
        if plain.mode != mode:  # viewers leave a profile for other channels out
            return image.convert("RGB")
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), plain.mode, "RGB"
        )
        return transform.apply(plain)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise InputError(
            f"expected an ICC profile that can be read, got one with the error: {error}",
            "save the picture as sRGB, or without a profile",
        ) from error


def _plain(mode: str) -> str:
    """What is left of a mode without palette and alpha."""
    return "L" if mode in ("1", "LA", "La") else "RGB"


def _by_gamma(image: Image.Image, gamma: float) -> Image.Image:
    """What was encoded with an exponent of `gamma`, as a screen of 2.2 wants it."""
    values = [round(255 * (value / 255) ** (1 / (_GAMMA * gamma))) for value in range(256)]
    return image.convert("RGB").point(values * 3)
