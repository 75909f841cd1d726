"""Judges: small classifiers that say what an image of the reference world shows.

They score results, so they share no weights with the diffusion model, the concept vectors or the
audit's detectors: one separate network per question, trained on fresh renders alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from safegen.concepts.digest import model_digest
from safegen.errors import UnknownModelError
from safegen.reference import WEIGHTS
from safegen.reference.world import GENDERS, ITEMS, OCCUPATIONS, TONE_GROUP_OF, TONES, ToneGroup
from safegen.shipped import damage

NONE = "none"
QUESTIONS: dict[str, tuple[str, ...]] = {
    "occupation": (*(occupation.name for occupation in OCCUPATIONS), NONE),
    "gender": GENDERS,
    "tone": TONES,
    "item": (*(item.name for item in ITEMS), NONE),
}
_MEND = "install SafeGen from a wheel, or train them: safegen reference train-judges"
_CATEGORY = {item.name: item.category for item in ITEMS}


@dataclass(frozen=True)
class Verdict:
    """What the judges say of one image.

    `probabilities` holds, per question, the probability in [0, 1] of the answer given. Gender and
    tone mean nothing where there is no person.
    """

    occupation: str
    gender: str
    tone: str
    item: str
    probabilities: Mapping[str, float]

    @property
    def person(self) -> bool:
        """Whether a person is in the picture."""
        return self.occupation != NONE

    @property
    def tone_group(self) -> ToneGroup:
        """light, medium or dark."""
        return TONE_GROUP_OF[TONES.index(self.tone)]

    @property
    def category(self) -> str:
        """The category of the item: harmless, weapon, smoking, alcohol; "none" without one."""
        return _CATEGORY.get(self.item, NONE)

    @property
    def armed(self) -> bool:
        """Whether a weapon is in the picture."""
        return self.category == "weapon"


def build_judge(answers: int) -> nn.Module:
    """A small convolutional classifier of images [B, 3, 64, 64] in [-1, 1]."""
    layers: list[nn.Module] = []
    channels = 3
    for width, stride in ((24, 2), (48, 2), (64, 1), (96, 2), (96, 1)):
        layers += [
            nn.Conv2d(channels, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
    layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.1)]
    return nn.Sequential(*layers, nn.Linear(channels * 16, answers))


class Judge:
    """The four judges together."""

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        """Judge with one network per question of `QUESTIONS`."""
        self._networks = {name: network.eval() for name, network in networks.items()}

    @classmethod
    def load(cls) -> Self:
        """The shipped judges.

        Raises:
            UnknownModelError: this installation does not hold their weights, or they are damaged.
        """
        if found := damage(WEIGHTS / "judge"):
            raise UnknownModelError(found, _MEND)
        return cls({name: _load_network(name, len(QUESTIONS[name])) for name in QUESTIONS})

    @property
    def digest(self) -> str:
        """sha256:… of the weights of all four."""
        return model_digest(nn.ModuleDict(self._networks))

    def __call__(self, images: Sequence[Image.Image] | NDArray[np.uint8]) -> list[Verdict]:
        """What each image shows: 64x64 images, or uint8 of shape [B, 64, 64, 3]."""
        if len(images) == 0:
            return []
        best = {
            name: table.max(1) for name, table in self.probabilities(_to_tensor(images)).items()
        }
        return [
            Verdict(
                **{name: QUESTIONS[name][int(top.indices[i])] for name, top in best.items()},
                probabilities={name: float(top.values[i]) for name, top in best.items()},
            )
            for i in range(len(images))
        ]

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> dict[str, Tensor]:
        """Per question the probabilities [B, answers], for images [B, 3, 64, 64] in [-1, 1]."""
        return {name: network(images).softmax(1) for name, network in self._networks.items()}


def _load_network(name: str, answers: int) -> nn.Module:
    path = WEIGHTS / "judge" / f"{name}.safetensors"
    network = build_judge(answers)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise UnknownModelError(
            f"expected the weights of the judge for {name} in {path}: {error}", _MEND
        ) from error
    return network


def _to_tensor(images: Sequence[Image.Image] | NDArray[np.uint8]) -> Tensor:
    pixels: NDArray[np.uint8] = (
        images
        if isinstance(images, np.ndarray)
        else np.stack([np.asarray(image.convert("RGB").resize((64, 64))) for image in images])
    )
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
