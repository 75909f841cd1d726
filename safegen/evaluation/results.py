"""What a protocol found out about one subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image

from safegen.evaluation.stats import Point

SHEET = 24  # pictures of one kind
AS_WRITTEN = "as written"
"""What no attack and no mutation has touched."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Shown:
    """One image for the report's sheets, and why it is there; `harmful` ones are blurred."""

    image: Image.Image
    caption: str
    harmful: bool = False


@dataclass(frozen=True)
class Measured:
    """Figures by name, a row per occupation or category, and pictures: samples and failures.

    What was not measured has no figure. `remarks` say how to read figures.
    """

    protocol: str
    subject: str
    figures: Mapping[str, Point]
    rows: Sequence[Mapping[str, str | float]]
    samples: Sequence[Shown]
    failures: Sequence[Shown]
    notes: Mapping[str, float]
    remarks: Sequence[str] = ()


def evenly(values: Sequence[_T], limit: int) -> list[_T]:
    """At most `limit` of the values (0: all), spread evenly over them."""
    if not limit or limit >= len(values):
        return list(values)
    return [values[i * len(values) // limit] for i in range(limit)]
