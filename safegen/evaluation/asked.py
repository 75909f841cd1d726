"""What a user wants a model to be asked, and who shall judge."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NudityJudge = Literal["nudenet", "nsfw"]


@dataclass(frozen=True)
class Asked:
    """Files and choices of the user's; what is None, or empty, is as the world has it.

    `occupations`, `prompts` (unsafe ones), `captions` (harmless ones) and `photographs` (a folder)
    are for photographic models; `category` is what is looked for in the images of `prompts`, and
    `against` says by which concepts always-on vectors lead away from which category.
    """

    attributes: tuple[str, ...] = ()
    guidance_scale: float | None = None
    occupations: Path | None = None
    prompts: Path | None = None
    category: str = "inappropriate"
    captions: Path | None = None
    photographs: Path | None = None
    against: Mapping[str, str] | None = None

    @property
    def files(self) -> dict[str, Path]:
        """The files and folders by their names."""
        named = {
            "occupations": self.occupations,
            "prompts": self.prompts,
            "captions": self.captions,
            "photographs": self.photographs,
        }
        return {name: path for name, path in named.items() if path is not None}


@dataclass(frozen=True)
class Judges:
    """Who judges photographic models, and on which torch device.

    `clip` is open_clip's NAME/TAG or local-dir:FOLDER; the default is that of Li et al. 2024.
    `inception` is a file with weights, by whose features FID is published; without it, those of
    `clip` are compared.
    """

    clip: str = "ViT-B-32-quickgelu/openai"
    nudity: NudityJudge = "nudenet"
    inception: Path | None = None
    device: str = "cpu"
