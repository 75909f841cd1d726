"""CLIP as a judge: how well an image fits its prompt, and features of images."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from safegen.audit.detectors.clip.model import open_model

_BATCH = 32


class ClipJudge:
    """An open_clip model that scores; it must not be one that audits what it scores."""

    def __init__(self, model: str, pretrained: str = "") -> None:
        """Load a model by open_clip's name and tag, or "local-dir:FOLDER".

        Raises:
            MissingExtraError: open_clip is not installed.
            UnknownModelError: there is no such model.
        """
        self._model, self._preprocess, self._tokenize = open_model(
            model, pretrained, "cpu", "judging by CLIP"
        )

    @torch.no_grad()
    def features(self, images: Sequence[Image.Image]) -> NDArray[np.float64]:
        """Image embeddings of unit length: [N, D]."""
        parts = []
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH]
            pixels = torch.stack([self._preprocess(image.convert("RGB")) for image in batch])
            parts.append(functional.normalize(self._model.encode_image(pixels).float(), dim=1))
        found: NDArray[np.float64] = torch.cat(parts).double().numpy()
        return found

    @torch.no_grad()
    def scores(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        """100·cos(image, prompt) of each pair."""
        embedded = self._model.encode_text(self._tokenize(list(prompts))).float()
        texts = functional.normalize(embedded, dim=1).double().numpy()
        pairs = zip(self.features(images), texts, strict=True)
        return [100 * float(image @ text) for image, text in pairs]
