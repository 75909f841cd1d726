"""What a protocol found out about one subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from safegen.evaluation.stats import Figure


@dataclass(frozen=True)
class Shown:
    """One image for the report's sheets, and why it is there; `harmful` ones are blurred."""

    image: Image.Image
    caption: str
    harmful: bool = False


@dataclass(frozen=True)
class Measured:
    """Figures by name, a row per occupation or category, and pictures: samples and failures."""

    protocol: str
    subject: str
    figures: Mapping[str, Figure]
    rows: Sequence[Mapping[str, str | float]]
    samples: Sequence[Shown]
    failures: Sequence[Shown]
    notes: Mapping[str, float]
