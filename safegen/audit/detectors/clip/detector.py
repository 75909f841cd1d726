"""An image encoded once by open_clip, and everything that is read from that embedding.

Zero-shot labels: with the image embedding v, the embeddings u of prompts (all of length 1) and the
model's logit scale λ, the score of a label with the prompts P against all other prompts N (the
neutral ones and those of the other labels) is

    m(X) = mean over u in X of exp(λ·u·v)        score = m(P) / (m(P) + m(N))

The mean of exponentials follows the prompt that fits best, so a label may gather different things
(knife, gun, bomb) without one diluting the other. Scores of several labels do not sum to 1. CLIP
describes an image as a whole: of several things in it, those that stand out less may score low.

Concepts: the score of a list of phrases is the largest u·v of them, and 0 where that is negative.
Probes: the score of a linear head (w, b) is 1 / (1 + exp(-(w·v + b))).

Of each phrase, u is the mean over the templates that it is put into, scaled to length 1.
"""

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from safegen.audit.detectors.base import detector_digest
from safegen.audit.detectors.clip.model import open_model
from safegen.audit.detectors.clip.probes import read_probes
from safegen.audit.detectors.registry import register
from safegen.audit.images import as_rgb
from safegen.errors import DetectorError, InputError
from safegen.forks import torch_runs
from safegen.nouns import Finding
from safegen.shipped import REINSTALL, damage

_PURPOSE = "the detector 'clip'"
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
        pretrained: open_clip's tag for the weights of a model given by name, or a file of weights.
        labels: label -> phrases that describe it.
        neutral: phrases for what is none of the labels; may be empty where no labels are given.
        templates: what each phrase is put into, with {} where it stands.
        concepts: label -> phrases, of which the one most like the image gives the score.
        probes: a safetensors or npz file of linear heads: for each label LABEL, an array
            LABEL.weight, as long as the model's embedding, and LABEL.bias.
        device: a torch device.
        batch_size: images encoded at once, ≥ 1.

    Raises:
        MissingExtraError: open_clip is not installed.
        DetectorError: the shipped CLIP is damaged.
        UnknownModelError: open_clip cannot load the model with its weights.
        InputError: a label or `neutral` has no phrases, a template has no {}, two labels are
            called the same, or the file of probes is none, or made for another model.
    """

    name = "clip"

    def __init__(
        self,
        model: str = "",
        pretrained: str = "",
        labels: Mapping[str, Sequence[str]] = LABELS,
        neutral: Sequence[str] = NEUTRAL,
        templates: Sequence[str] = ("{}",),
        concepts: Mapping[str, Sequence[str]] | None = None,
        probes: str = "",
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        concepts = concepts or {}
        _require_phrases(labels, neutral, templates, concepts)
        if not (labels or concepts or probes):
            raise InputError(
                "expected prompts for every label, got neither labels, concepts nor probes",
                "say what to look for",
            )
        if not model:
            folder = Path(str(files("safegen.reference"))) / "weights" / "clip"
            if found := damage(folder):
                raise DetectorError(found, REINSTALL)
            model = f"local-dir:{folder}"
        self._model, self._preprocess, self._tokenize = open_model(
            model, pretrained, device, _PURPOSE
        )
        import torch

        from safegen.concepts.digest import model_digest

        self._device = device
        self._batch_size = batch_size
        groups = [*labels.values(), *([neutral] if labels else [])]
        self._texts = self._encode(groups, templates)
        self._own = _owned(groups)[: len(labels)]
        self._concepts = self._encode([*concepts.values()], templates)
        self._concept = _owned([*concepts.values()])
        width = self._encode([["a"]], templates).shape[1]
        heads = read_probes(probes, width) if probes else {}
        self._weights = torch.tensor([[*head.weight] for head in heads.values()]).to(device)
        self._biases = torch.tensor([head.bias for head in heads.values()]).to(device)
        self.labels = (*labels, *concepts, *heads)
        if len(set(self.labels)) < len(self.labels):
            raise InputError(
                f"expected another name for each label, concept and probe, got {self.labels}",
                "rename those that are called the same",
            )
        settings: dict[str, Any] = {
            "labels": {label: list(phrases) for label, phrases in labels.items()},
            "neutral": list(neutral),
        }
        if tuple(templates) != ("{}",):
            settings["templates"] = list(templates)
        if concepts:
            settings["concepts"] = {label: list(phrases) for label, phrases in concepts.items()}
        if heads:
            settings["probes"] = {label: head.digest for label, head in heads.items()}
        self.weights = model_digest(self._model)
        """sha256:… of the model alone, by which another use of it is known."""
        self.digest = detector_digest(self.weights, settings)

    def _encode(self, groups: Sequence[Sequence[str]], templates: Sequence[str]) -> Any:
        """All phrases as a tensor [phrases, width], each the mean over the templates."""
        import torch

        texts = [t.replace("{}", phrase) for group in groups for phrase in group for t in templates]
        if not texts:
            return torch.zeros(0, 0)
        with torch.no_grad():
            tokens = self._tokenize(texts).to(self._device)
            each = self._model.encode_text(tokens, normalize=True)
            mean = each.unflatten(0, (-1, len(templates))).mean(dim=1)
            return torch.nn.functional.normalize(mean, dim=-1)

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

        torch_runs(_PURPOSE)
        with torch.no_grad():
            batch = torch.stack([self._preprocess(as_rgb(image)) for image in images])
            embedded = self._model.encode_image(batch.to(self._device), normalize=True)
            parts = []
            if self._own:
                logits = self._model.logit_scale.exp() * embedded @ self._texts.T
                margins = [
                    _log_mean_exp(logits[:, own]) - _log_mean_exp(logits[:, ~own])
                    for own in self._own
                ]
                parts.append(torch.stack(margins, dim=1).float().sigmoid())
            if self._concept:
                alike = embedded @ self._concepts.T
                best = [alike[:, own].amax(dim=1) for own in self._concept]
                parts.append(torch.stack(best, dim=1).float().clip(0, 1))
            if len(self._biases):
                parts.append((embedded.float() @ self._weights.T + self._biases).sigmoid())
            return torch.cat(parts, dim=1).cpu()


def _require_phrases(
    labels: Mapping[str, Sequence[str]],
    neutral: Sequence[str],
    templates: Sequence[str],
    concepts: Mapping[str, Sequence[str]],
) -> None:
    groups = [*labels.values(), *concepts.values()]
    if not all(groups) or (labels and not neutral) or any(isinstance(g, str) for g in groups):
        raise InputError(
            "expected prompts for every label and concept, and for `neutral`, got "
            f"labels={dict(labels)!r}, neutral={list(neutral)!r}, concepts={dict(concepts)!r}",
            "give at least one prompt for each",
        )
    if not templates or not all("{}" in template for template in templates):
        raise InputError(
            f"expected templates with {{}} where a phrase goes, got {list(templates)!r}",
            "write for example 'a photo of {}'",
        )


def _owned(groups: Sequence[Sequence[str]]) -> list[Any]:
    """For each group, which of all phrases are its own, as a tensor of booleans."""
    import torch

    owner = torch.tensor([i for i, group in enumerate(groups) for _ in group])
    return [owner == i for i in range(len(groups))]


def _log_mean_exp(logits: Any) -> Any:
    """Of a tensor [images, prompts], per image."""
    return logits.logsumexp(1) - math.log(logits.shape[1])
