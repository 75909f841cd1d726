"""Marks on images that say, for machines to read, that they are generated."""

from typing import Protocol, runtime_checkable

from PIL import Image

from safegen.nouns import Frozen


class Mark(Frozen):
    """What a mark tells beside that: where in a ledger the image's life is written down."""

    record: str
    """Id of the request's record."""
    image: int
    """Number of the image in it, from 0."""
    policy: str
    policy_digest: str
    edited: bool = False
    """Whether it is a picture that was given, changed by the model, and not one made from nothing.
    """


@runtime_checkable
class Marker(Protocol):
    """Marks images; called after every check, on what is about to be returned."""

    @property
    def name(self) -> str:
        """What records call it."""

    @property
    def digest(self) -> str:
        """`sha256:…` of what vouches for its marks, such as a certificate."""

    def mark(self, image: Image.Image, mark: Mark) -> bytes | None:
        """A file with the image and its mark; None: what takes the image from here is to mark it.

        Raises:
            Exception: it cannot be marked; the request ends as an error, and no image is returned.
        """


class MarkedElsewhere:
    """Says that a service behind the guard marks the images; records say so too."""

    name, digest = "elsewhere", ""

    def mark(self, image: Image.Image, mark: Mark) -> None:
        """Leave it to that service."""
