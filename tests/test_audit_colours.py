"""Profiles and gamma: pictures that only some viewers show."""

import io
from collections.abc import Mapping

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from safegen.audit.images import as_rgb, read_picture
from safegen.errors import InputError

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def steep(profile: bytes) -> bytes:
    """The profile with curves that are black up to 127 of 255, and white from 128 on."""
    data = bytearray(profile)
    count = int.from_bytes(data[128:132], "big")
    tags = [data[132 + 12 * i : 144 + 12 * i] for i in range(count)]
    [at] = {int.from_bytes(tag[4:8], "big") for tag in tags if bytes(tag[:4]) == b"rTRC"}
    curve = b"curv" + bytes(4) + (256).to_bytes(4, "big") + bytes(256) + b"\xff" * 256
    moved = len(data)
    for i, tag in enumerate(tags):
        if int.from_bytes(tag[4:8], "big") == at:
            data[136 + 12 * i : 144 + 12 * i] = moved.to_bytes(4, "big") + len(curve).to_bytes(
                4, "big"
            )
    data += curve
    data[:4] = len(data).to_bytes(4, "big")
    return bytes(data)


def faint(mode: str) -> Image.Image:
    """Two halves that differ by one level."""
    grey = np.full((4, 8), 127, np.uint8)
    grey[:, 4:] = 128
    return Image.fromarray(grey).convert(mode)


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> Image.Image:
    """As it is opened again."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))


def contrasts(opened: Image.Image) -> list[int]:
    """Of every view, by how much its halves differ."""
    file = opened.fp.getvalue()  # type: ignore[union-attr]
    views = [view.convert("L") for view in read_picture(file).views]
    return [abs(v.getpixel((7, 0)) - v.getpixel((0, 0))) for v in views]  # type: ignore[operator]


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_a_picture_that_its_profile_hides_is_seen_both_ways(mode: str) -> None:
    """As a browser shows it, and as a program that knows no profiles does."""
    opened = file_of(faint(mode), icc_profile=steep(SRGB))

    assert contrasts(opened) == [255, 1]
    assert as_rgb(opened).convert("L").getextrema() == (0, 255)


def test_a_picture_that_its_gamma_hides_is_seen_both_ways() -> None:
    """Unless the file says that it is sRGB, which then holds."""
    grey = np.full((4, 8), 253, np.uint8)
    grey[:, 4:] = 255
    picture = Image.fromarray(grey)

    assert contrasts(gamma_file(picture, {b"gAMA": (100).to_bytes(4, "big")}))[0] > 200
    both = {b"gAMA": (100).to_bytes(4, "big"), b"sRGB": b"\0"}
    assert contrasts(gamma_file(picture, both)) == [2]


def gamma_file(image: Image.Image, chunks: Mapping[bytes, bytes]) -> Image.Image:
    """A PNG with further chunks."""
    info = PngImagePlugin.PngInfo()
    for name, data in chunks.items():
        info.add(name, data)
    return file_of(image, pnginfo=info)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_usual_profiles_and_gammas_make_no_second_view(mode: str) -> None:
    """sRGB, written down or meant, is seen once."""
    picture = Image.linear_gradient("L").convert(mode)

    assert len(contrasts(file_of(picture, "JPEG", icc_profile=SRGB))) == 1
    assert len(contrasts(gamma_file(picture, {b"gAMA": (45455).to_bytes(4, "big")}))) == 1


def test_transparency_stays_beside_a_profile() -> None:
    """Seen on white and on black, each with the profile and without."""
    picture = faint("RGBA")
    picture.putalpha(128)

    assert contrasts(file_of(picture, icc_profile=steep(SRGB))) == [128, 128, 0, 0]


def test_a_profile_that_cannot_be_read_is_an_error() -> None:
    """Viewers would each do something else."""
    with pytest.raises(InputError, match="ICC profile that can be read"):
        contrasts(file_of(faint("RGB"), icc_profile=b"no profile at all"))


def test_a_profile_for_other_channels_is_left_out() -> None:
    """As viewers do."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()

    assert contrasts(file_of(faint("L"), icc_profile=lab)) == [1]
