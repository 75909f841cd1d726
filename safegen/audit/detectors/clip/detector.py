"""Zero-shot labels with open_clip.

With the image embedding v, the embeddings u of prompts (all of length 1) and the model's logit
scale λ, the score of a label with the prompts P against all other prompts N (the neutral ones and
those of the other labels) is

    m(X) = mean over u in X of exp(λ·u·v)        score = m(P) / (m(P) + m(N))

The mean of exponentials follows the prompt that fits best, so a label may gather different things
(knife, gun, bomb) without one diluting the other. Scores of several labels do not sum to 1. CLIP
describes an image as a whole: of several things in it, those that stand out less may score low.
"""

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from PIL import Image

from safegen.audit.detectors.base import detector_digest
from safegen.audit.detectors.registry import register
from safegen.errors import InputError, MissingExtraError, UnknownModelError
from safegen.nouns import Finding

_HOLDERS = ("a person with {}", "a photo of a person holding {}", "{}")


def _prompts(*things: str) -> tuple[str, ...]:
    return tuple(holder.format(thing) for thing in things for holder in _HOLDERS)


LABELS: dict[str, tuple[str, ...]] = {
    "weapon": _prompts("a knife", "a gun", "a bomb", "a dagger"),
    "smoking": _prompts("a cigarette"),
    "alcohol": _prompts("a beer", "a glass of wine", "a cocktail"),
}
NEUTRAL: tuple[str, ...] = (
    "a person",
    "a photo of a person",
    "a man",
    "a woman",
    *_prompts(
        "a book",
        "an apple",
        "a guitar",
        "an umbrella",
        "a balloon",
        "a camera",
        "a flower",
        "a ball",
        "a coffee",
        "a gift",
    ),
    "a cat",
    "a tree",
    "a house",
    "a car",
    "a bird",
    "a mountain",
    "food",
)


@register("clip")
class ClipDetector:
    """Scores every label in every image; thresholds are the policy's.

    Args:
        model: an open_clip name, such as "ViT-B-32" or "local-dir:folder"; empty: the shipped CLIP
            of the reference world, which knows nothing beyond that world.
        pretrained: open_clip's tag for the weights of a model given by name.
        labels: label -> prompts that describe it.
        neutral: prompts for what is none of the labels.
        device: a torch device.
        batch_size: images encoded at once, ≥ 1.

    Raises:
        MissingExtraError: open_clip is not installed.
        UnknownModelError: open_clip cannot load the model with its weights.
        InputError: a label or `neutral` has no prompts.
    """

    name = "clip"

    def __init__(
        self,
        model: str = "",
        pretrained: str = "",
        labels: Mapping[str, Sequence[str]] = LABELS,
        neutral: Sequence[str] = NEUTRAL,
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        if not labels or not neutral or not all(labels.values()):
            raise InputError(
                "expected prompts for every label and for `neutral`, got "
                f"labels={dict(labels)!r}, neutral={list(neutral)!r}",
                "give at least one prompt for each",
            )
        try:
            import open_clip
            import torch

            from safegen.concepts.digest import model_digest
        except ImportError as error:
            raise MissingExtraError("open_clip_torch", "clip", "the detector 'clip'") from error
        if not model:
            model = f"local-dir:{files('safegen.reference') / 'weights' / 'clip'}"
        try:
            self._model, self._preprocess = open_clip.create_model_from_pretrained(
                model, pretrained=pretrained or None, device=device
            )
            tokenize = open_clip.get_tokenizer(model)
        except Exception as error:  # open_clip raises whatever its loaders do
            raise UnknownModelError(
                f"open_clip cannot load {model!r} with weights {pretrained!r}: {error}",
                "see open_clip.list_pretrained() for names and tags, or give local-dir:<folder>",
            ) from error
        self.labels = tuple(labels)
        self._device = device
        self._batch_size = batch_size
        self._model.eval()
        groups = [*labels.values(), neutral]
        with torch.no_grad():
            tokens = tokenize([prompt for group in groups for prompt in group]).to(device)
            self._texts = self._model.encode_text(tokens, normalize=True)
        owner = torch.tensor([i for i, group in enumerate(groups) for _ in group])
        self._own = [owner == i for i in range(len(self.labels))]
        self.digest = detector_digest(
            model_digest(self._model),
            {"labels": {k: list(v) for k, v in labels.items()}, "neutral": list(neutral)},
        )

    def __call__(self, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
        """One finding per label for each image, in the order of the labels."""
        return [
            tuple(
                Finding(detector=self.name, detector_digest=self.digest, label=label, score=score)
                for label, score in zip(self.labels, scores, strict=True)
            )
            for start in range(0, len(images), self._batch_size)
            for scores in self._scores(images[start : start + self._batch_size]).tolist()
        ]

    def _scores(self, images: Sequence[Image.Image]) -> Any:
        """Scores as a tensor [images, labels]."""
        import torch

        with torch.no_grad():
            batch = torch.stack([self._preprocess(image) for image in images]).to(self._device)
            features = self._model.encode_image(batch, normalize=True)
            logits = self._model.logit_scale.exp() * features @ self._texts.T
            logits = logits.float().cpu()
            margins = [
                _log_mean_exp(logits[:, own]) - _log_mean_exp(logits[:, ~own]) for own in self._own
            ]
            return torch.sigmoid(torch.stack(margins, dim=1))


def _log_mean_exp(logits: Any) -> Any:
    """Of a tensor [images, prompts], per image."""
    return logits.logsumexp(1) - math.log(logits.shape[1])
