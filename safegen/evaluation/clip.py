"""CLIP as a judge: how well an image fits texts, which of them best, and features of images."""

from collections.abc import Mapping, Sequence
from functools import cache, cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from safegen.audit.detectors.clip.model import open_model
from safegen.audit.images import as_rgb
from safegen.concepts.digest import model_digest

_BATCH = 32
Array = NDArray[np.float64]
Choices = Mapping[str, Sequence[str]]
"""Answer -> the texts that describe it."""


def named(clip: str) -> tuple[str, str]:
    """open_clip's name and tag of what users write as NAME/TAG, or as local-dir:FOLDER."""
    if clip.startswith("local-dir:"):
        return clip, ""
    name, _, tag = clip.partition("/")
    return name, tag


class ClipJudge:
    """An open_clip model that scores; it must not be one that audits what it scores."""

    def __init__(self, model: str, pretrained: str = "", device: str = "cpu") -> None:
        """Load a model by open_clip's name and tag, or "local-dir:FOLDER".

        Raises:
            MissingExtraError: open_clip is not installed.
            UnknownModelError: there is no such model.
        """
        self._model, self._preprocess, self._tokenize = open_model(
            model, pretrained, device, "judging by CLIP"
        )
        self._device = device
        self._known = cache(self.texts)

    @cached_property
    def digest(self) -> str:
        """sha256:… of its weights."""
        return model_digest(self._model)

    @torch.no_grad()
    def features(self, images: Sequence[Image.Image]) -> Array:
        """Image embeddings of unit length: [N, D]."""
        parts = []
        for start in range(0, len(images), _BATCH):
            batch = [self._preprocess(as_rgb(image)) for image in images[start : start + _BATCH]]
            embedded = self._model.encode_image(torch.stack(batch).to(self._device))
            parts.append(functional.normalize(embedded.float(), dim=1).cpu())
        found: Array = torch.cat(parts).double().numpy()
        return found

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Array:
        """Text embeddings of unit length: [N, D]."""
        embedded = self._model.encode_text(self._tokenize(list(texts)).to(self._device))
        found: Array = functional.normalize(embedded.float(), dim=1).cpu().double().numpy()
        return found

    def scores(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        """100·cos(image, prompt) of each pair."""
        pairs = zip(self.features(images), self.texts(prompts), strict=True)
        return [100 * float(image @ text) for image, text in pairs]

    def answers(
        self, images: Sequence[Image.Image], questions: Mapping[str, Choices]
    ) -> list[dict[str, str]]:
        """Of each question the answer that each image is nearest to, zero-shot.

        Nearest by the mean over an answer's texts of exp(λ·cos), λ being the model's logit scale:
        the arg-max of CLIP where each answer has one text.
        """
        seen = self.features(images)
        scale = float(self._model.logit_scale.detach().exp())
        verdicts: list[dict[str, str]] = [{} for _ in images]
        for question, choices in questions.items():
            fits = [
                np.exp(scale * (seen @ self._known(tuple(texts)).T - 1)).mean(1)
                for texts in choices.values()
            ]
            for verdict, best in zip(verdicts, np.argmax(fits, axis=0), strict=True):
                verdict[question] = list(choices)[best]
        return verdicts
