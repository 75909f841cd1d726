import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safegen.audit.images import MAX_FRAMES, as_rgb, has_signature, read_picture, views
from safegen.errors import InputError

RED = (200, 30, 10)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """A file of the image."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(head: tuple[int, ...], pixels: bytes, clear: bytes = b"") -> bytes:
    """A PNG by hand: width, height, bits, kind of colours; rows; the colour that is transparent."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    first = chunk(b"IHDR", struct.pack(">IIBBBBB", *head, 0, 0, 0))
    between = chunk(b"tRNS", clear) if clear else b""
    body = first + between + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bomb(width: int, height: int) -> bytes:
    """A small PNG that claims to be huge."""
    return png((width, height, 8, 2), b"\0" * 1000)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (8, 4), RED),
        Image.new("RGB", (8, 4), RED).quantize(4),
        Image.new("RGBA", (8, 4), (*RED, 255)),
    ],
    ids=["RGB", "palette", "opaque alpha"],
)
def test_colours_are_kept(image: Image.Image) -> None:
    """One view, in the colours of the file."""
    [view] = views(saved(image))

    assert (view.mode, view.size, view.getpixel((0, 0))) == ("RGB", (8, 4), RED)


def test_a_transparent_picture_is_seen_on_white_and_on_black() -> None:
    """What shows on one backdrop only is shown to the detectors."""
    on_white, on_black = views(saved(Image.new("RGBA", (4, 4), (0, 0, 0, 128))))

    assert on_white.getpixel((0, 0)) == (127, 127, 127)
    assert on_black.getpixel((0, 0)) == (0, 0, 0)


def test_a_transparent_value_of_sixteen_bits_is_not_cut_to_eight() -> None:
    """Else what differs from it by less than Pillow keeps would be hidden in one flat picture."""
    on_white, on_black = views(png((2, 1, 16, 0), b"\0\x10\x00\x10\x01", b"\x10\x00"))

    assert [on_white.getpixel((x, 0)) for x in (0, 1)] == [(255,) * 3, (16,) * 3]
    assert [on_black.getpixel((x, 0)) for x in (0, 1)] == [(0,) * 3, (16,) * 3]


@pytest.mark.parametrize("clear", [0x1000, 5])
def test_a_transparent_colour_of_sixteen_bits_is_refused(clear: int) -> None:
    """Pillow has eight bits of every colour left, and does not find it among them."""
    row = struct.pack(">6H", clear, clear, clear, clear + 1, clear, clear)
    with pytest.raises(InputError, match="transparent colour of 8 bits"):
        read_picture(png((2, 1, 16, 2), b"\0" + row, struct.pack(">3H", *[clear] * 3)))


def test_a_transparent_colour_is_put_on_white_in_memory_too() -> None:
    """A colour picture with one has the mode RGB, and no alpha channel."""
    file = png((2, 1, 8, 2), b"\0" + bytes([10, 10, 10, 11, 11, 11]), b"\0\n" * 3)
    seen = as_rgb(Image.open(io.BytesIO(file)))

    assert [seen.getpixel((x, 0)) for x in (0, 1)] == [(255,) * 3, (11,) * 3]


def test_print_colours_become_light() -> None:
    """CMYK without ink is white."""
    [view] = views(saved(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "TIFF"))

    assert view.getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_are_scaled() -> None:
    """Pillow alone would cut every value above 255 off to white."""
    grey = Image.fromarray(np.full((4, 4), 128 * 256, np.uint16))
    [view] = views(saved(grey))

    assert view.getpixel((0, 0)) == (128, 128, 128)


def test_pictures_stand_upright() -> None:
    """The orientation that cameras note is followed."""
    picture = Image.new("RGB", (8, 4), RED)
    exif = picture.getexif()
    exif[0x0112] = 6
    [view] = views(saved(picture, "JPEG", exif=exif))

    assert view.size == (4, 8)


def test_every_frame_is_seen() -> None:
    """What only the second frame shows is shown."""
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("white", "black")]
    seen = views(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    assert [view.getpixel((0, 0)) for view in seen] == [(255, 255, 255), (0, 0, 0)]


def test_too_many_frames_are_an_error() -> None:
    """Memory is bounded."""
    frames = [Image.new("L", (1, 1), i % 256) for i in range(MAX_FRAMES + 1)]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=f"at most {MAX_FRAMES} frames"):
        views(data)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8_100, 9_500, 60_000])
def test_a_bomb_is_an_error(side: int) -> None:
    """It is refused by what it claims, before anything is unpacked."""
    with pytest.raises(InputError, match=r"at most|DecompressionBomb"):
        views(bomb(side, side))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_half_a_file_is_an_error(tmp_path: Path, kind: str) -> None:
    """The message names the file; half a picture is no picture."""
    data = saved(Image.effect_noise((64, 64), 80).convert("RGB"), kind)
    path = tmp_path / "half"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="half: expected an image"):
        views(path)


def test_light_without_a_scale_is_an_error() -> None:
    """Floating-point values may mean anything."""
    with pytest.raises(InputError, match="grey values from 0 to 65535"):
        as_rgb(Image.new("F", (4, 4), 0.5))


def test_a_picture_says_what_it_is() -> None:
    """Format, mode and size are those of the file; its views are one a frame and backdrop."""
    frames = [Image.new("RGBA", (8, 4), (i, 0, 0, 9)) for i in range(3)]
    picture = read_picture(saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))

    assert (picture.format, picture.mode, picture.width, picture.height) == ("PNG", "RGBA", 8, 4)
    assert (picture.frames, len(picture.views)) == (3, 6)


@pytest.mark.parametrize("kind", ["AVIF", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_first_bytes_tell_an_image(kind: str) -> None:
    """Whatever its name; no text is taken for one."""
    assert has_signature(saved(Image.new("RGB", (8, 8)), kind)[:16])
    assert not has_signature(b"Python is a lang")
    assert not has_signature(b"")
