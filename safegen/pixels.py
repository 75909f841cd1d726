"""What names a picture, whatever file it is in."""

import hashlib

from PIL import Image


def pixels_digest(image: Image.Image) -> str:
    """The SHA-256 of an image, in hex: of `WIDTHxHEIGHT`, a newline, and its RGB bytes."""
    size = f"{image.width}x{image.height}\n".encode()  # the same bytes make pictures of many sizes
    return hashlib.sha256(size + image.convert("RGB").tobytes()).hexdigest()
