"""Any text-classification model of transformers, by name or path; its labels become scores.

A configuration that does not fit its model is refused: a score from the wrong column looks like
any other.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from safegen.errors import ClassifierError, MissingExtraError
from safegen.forks import torch_runs
from safegen.nouns import Frozen, Scores
from safegen.risk.combine import ScoreName, classifier_digest, refuse_longer
from safegen.risk.embedding import MAX_CHARACTERS

_LONGEST = 512  # tokens of a window, where the model names no limit of its own


class HuggingFaceSettings(Frozen):
    """A text-classification model, and which of its labels are scores."""

    kind: Literal["huggingface"]
    model: str = Field(
        min_length=1, description="a folder, from the policy's own, or a name on the hub"
    )
    revision: str = Field(default="main", description="of a name on the hub: best a commit")
    scores: dict[ScoreName, str] = Field(
        min_length=1, description="score's name -> the model's label"
    )
    labels: Literal["exclusive", "independent"] | None = Field(
        default=None,
        description="whether one label at most holds, or each may; needed where the model's "
        "config has no problem_type, or they are taken for exclusive",
    )


class HuggingFaceClassifier:
    """Scores prompts by the probabilities that the model gives to labels.

    Raises:
        MissingExtraError: transformers or torch is not installed.
        ClassifierError: there is no such model, it has no such label, or its configuration
            contradicts itself, its weights or the settings.
        InputError: this process is a fork of one in which torch calculated.
    """

    def __init__(self, name: str, settings: HuggingFaceSettings) -> None:
        try:
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            raise MissingExtraError(
                "transformers", "diffusers", "a Hugging Face classifier"
            ) from error
        self._torch = torch
        self.name = name
        self._of = f"the text-classification model {settings.model!r}"
        where = {"revision": settings.revision}
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(settings.model, **where)
            # Other formats of weights are unpickled, which may run code.
            loaded = AutoModelForSequenceClassification.from_pretrained(
                settings.model, use_safetensors=True, output_loading_info=True, **where
            )
        except Exception as error:
            # A configuration can be wrong in any way, and transformers then raises anything.
            raise ClassifierError(
                f"cannot load {self._of}: {type(error).__name__}: {error}",
                "give a folder or name that holds config, tokenizer and safetensors weights",
            ) from error
        self._model: Any = loaded[0].eval()
        if absent := sorted(loaded[1]["missing_keys"]):
            raise ClassifierError(
                f"{self._of} has no weights for {absent[0]}, which transformers makes up",
                "give a model that was trained to classify text, not the one it was made from",
            )
        self._window = min(self._tokenizer.model_max_length, _LONGEST)
        self._columns = self._columns_of(settings.scores)
        self._independent = self._are_independent(settings.labels)
        # Without the setting the digest is what it was before there was one.
        said = {} if settings.labels is None else {"labels": settings.labels}
        self.digest = classifier_digest(
            {"weights": weights_digest(self._model), "scores": settings.scores} | said
        )

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """The labels' probabilities; of a long prompt, the highest over its windows.

        Raises:
            ClassifierError: a prompt is too long, or the model fails on it.
        """
        return [self._scores(prompt) for prompt in prompts]

    def _scores(self, prompt: str) -> Scores:
        refuse_longer(prompt, MAX_CHARACTERS)
        logits = self._logits(prompt)
        odds = logits.sigmoid() if self._independent else logits.softmax(dim=1)
        highest = odds.max(dim=0).values
        return Scores(values={name: float(highest[i]) for name, i in self._columns.items()})

    def _logits(self, prompt: str) -> Any:
        """What the model gives: a tensor [windows, labels]."""
        torch_runs(self._of)
        try:
            tokens = windows_of(self._tokenizer, prompt, self._window, "longest")
            known = {name: tokens[name] for name in self._tokenizer.model_input_names}
            with self._torch.inference_mode():
                return self._model(**known).logits
        except Exception as error:
            raise ClassifierError(
                f"{self._of} cannot read the prompt: {type(error).__name__}: {error}",
                "its config, tokenizer and weights must be of one and the same model",
            ) from error

    def _columns_of(self, scores: Mapping[str, str]) -> dict[str, int]:
        """Score's name -> column of the logits, by `id2label` as transformers reads it."""
        named = self._model.config.id2label or {}
        labels = {number: str(label) for number, label in named.items()}
        shape = list(self._logits("").shape)
        if shape != [1, len(labels)] or set(labels) != set(range(len(labels))):
            raise ClassifierError(
                f"{self._of}: expected an id2label that numbers its outputs from 0, got the ids "
                f"{sorted(labels)} for outputs of shape {shape}",
                "correct id2label in its config.json",
            )
        if twice := [label for label, count in Counter(labels.values()).items() if count > 1]:
            raise ClassifierError(
                f"{self._of} has more than one label {twice[0]!r}",
                "give each a name of its own in id2label in its config.json",
            )
        columns = {label: number for number, label in labels.items()}
        other = self._model.config.label2id
        texts = isinstance(other, Mapping) and {label: str(i) for label, i in other.items()}
        if other and texts != {label: str(i) for label, i in columns.items()}:
            raise ClassifierError(
                f"{self._of}: label2id says {other}, id2label says {columns}",
                "correct the one that is wrong in its config.json, or leave out label2id",
            )
        if unknown := sorted(set(scores.values()) - set(columns)):
            raise ClassifierError(
                f"the model has no label {unknown[0]!r}: {self._of}",
                f"its labels are {', '.join(sorted(columns))}",
            )
        return {score: columns[label] for score, label in scores.items()}

    def _are_independent(self, said: str | None) -> bool:
        """Whether each label has a probability of its own."""
        config = self._model.config
        kinds = {
            "multi_label_classification": "independent",
            "single_label_classification": "exclusive",
            None: None,
        }
        if config.problem_type not in kinds:
            raise ClassifierError(
                f"{self._of}: expected one that classifies, got the problem_type "
                f"{config.problem_type!r}",
                "its outputs are no probabilities: take another model",
            )
        declared = kinds[config.problem_type]
        alone = len(config.id2label) == 1  # exclusive of nothing: always 1
        possible = {"independent"} if alone else {declared or said}
        if said and said not in possible:
            raise ClassifierError(
                f"{self._of}: `labels: {said}` contradicts its config, which has the problem_type "
                f"{config.problem_type!r} and {len(config.id2label)} labels",
                "leave out `labels`, or correct problem_type in its config.json",
            )
        return alone or (said or declared) == "independent"


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
