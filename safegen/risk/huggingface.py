"""Any text-classification model of transformers, by name or path; its labels become scores."""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from safegen.errors import ClassifierError, MissingExtraError
from safegen.nouns import Frozen, Scores
from safegen.risk.combine import ScoreName, classifier_digest, refuse_longer
from safegen.risk.embedding import MAX_CHARACTERS

_LONGEST = 512  # tokens of a window, where the model names no limit of its own


class HuggingFaceSettings(Frozen):
    """A text-classification model, and which of its labels are scores."""

    kind: Literal["huggingface"]
    model: str = Field(min_length=1, description="a folder, or a name on the hub")
    revision: str = Field(default="main", description="of a name on the hub: best a commit")
    scores: dict[ScoreName, str] = Field(
        min_length=1, description="score's name -> the model's label"
    )


class HuggingFaceClassifier:
    """Scores prompts by the probabilities that the model gives to labels.

    Raises:
        MissingExtraError: transformers or torch is not installed.
        ClassifierError: there is no such model, or it has no such label.
    """

    def __init__(self, name: str, settings: HuggingFaceSettings) -> None:
        try:
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            raise MissingExtraError(
                "transformers", "diffusers", "a Hugging Face classifier"
            ) from error
        where = {"revision": settings.revision}
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(settings.model, **where)
            # Other formats of weights are unpickled, which may run code.
            self._model: Any = AutoModelForSequenceClassification.from_pretrained(
                settings.model, use_safetensors=True, **where
            ).eval()
        except (OSError, ValueError) as error:
            raise ClassifierError(
                f"cannot load the text-classification model {settings.model!r}: {error}",
                "give a folder or name that holds config, tokenizer and safetensors weights",
            ) from error
        self._torch = torch
        self.name = name
        labels = dict(self._model.config.label2id)
        if unknown := sorted(set(settings.scores.values()) - set(labels)):
            raise ClassifierError(
                f"the model {settings.model!r} has no label {unknown[0]!r}",
                f"its labels are {', '.join(sorted(labels))}",
            )
        self._columns = {score: labels[label] for score, label in settings.scores.items()}
        self._window = min(self._tokenizer.model_max_length, _LONGEST)
        self.digest = classifier_digest(
            {"weights": weights_digest(self._model), "scores": settings.scores}
        )

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """The labels' probabilities; of a long prompt, the highest over its windows.

        Raises:
            ClassifierError: a prompt is too long.
        """
        return [self._scores(prompt) for prompt in prompts]

    def _scores(self, prompt: str) -> Scores:
        refuse_longer(prompt, MAX_CHARACTERS)
        tokens = windows_of(self._tokenizer, prompt, self._window, "longest")
        known = {name: tokens[name] for name in self._tokenizer.model_input_names}
        with self._torch.inference_mode():
            logits = self._model(**known).logits
        several = self._model.config.problem_type == "multi_label_classification"
        alone = several or logits.shape[1] == 1
        odds = logits.sigmoid() if alone else logits.softmax(dim=1)
        highest = odds.max(dim=0).values
        return Scores(values={name: float(highest[i]) for name, i in self._columns.items()})


def windows_of(tokenizer: Any, prompt: str, length: int, padding: str) -> Any:
    """The tokens of a prompt in windows of at most `length`, one row each."""
    return tokenizer(
        prompt.encode("utf-8", "replace").decode(),  # a lone surrogate has no UTF-8
        truncation=True,
        max_length=length,
        return_overflowing_tokens=True,
        padding=padding,
        return_tensors="pt",
    )


def weights_digest(model: Any) -> str:
    """SHA-256 of a model of transformers: its configuration, and the bytes of its weights."""
    import torch

    state = hashlib.sha256(model.config.to_json_string().encode())
    for name, tensor in sorted(model.state_dict().items()):
        state.update(name.encode())
        state.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return state.hexdigest()
