"""CLIP as a judge: how well an image fits its prompt, what it shows, and features of images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from safegen.errors import MissingExtraError, UnknownModelError

_BATCH = 32


class ClipJudge:
    """An open_clip model that scores; it must not be one that audits what it scores."""

    def __init__(self, model: str, pretrained: str = "") -> None:
        """Load a model by open_clip's name and tag, or "local-dir:FOLDER".

        Raises:
            MissingExtraError: open_clip is not installed.
            UnknownModelError: there is no such model.
        """
        try:
            import open_clip
        except ImportError as error:
            raise MissingExtraError("open_clip_torch", "clip", "judging by CLIP") from error
        try:
            self._model, _, self._preprocess = open_clip.create_model_and_transforms(
                model, pretrained=pretrained or None
            )
            self._tokenize: Any = open_clip.get_tokenizer(model)
        except (RuntimeError, OSError, ValueError) as error:
            raise UnknownModelError(
                f"cannot load the CLIP model {model!r}: {error}",
                "give a model and tag of open_clip, or local-dir:FOLDER",
            ) from error
        self._model.eval()

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
    def _texts(self, texts: Sequence[str]) -> Tensor:
        embedded: Tensor = self._model.encode_text(self._tokenize(list(texts))).float()
        return functional.normalize(embedded, dim=1).double()

    def scores(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        """100·cos(image, prompt) of each pair."""
        texts = self._texts(prompts).numpy()
        return [
            100 * float(row @ text) for row, text in zip(self.features(images), texts, strict=True)
        ]

    def answers(
        self, images: Sequence[Image.Image], question: Mapping[str, Sequence[str]]
    ) -> list[str]:
        """For each image the answer whose texts are nearest on average.

        Args:
            images: to look at.
            question: answer -> texts that say it.
        """
        means = [self._texts(texts).mean(0).numpy() for texts in question.values()]
        nearest = (self.features(images) @ np.stack(means).T).argmax(1)
        names = list(question)
        return [names[i] for i in nearest]
