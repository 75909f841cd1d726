"""Concepts as the generator itself reads them: in the embeddings of its own text encoder.

Token soup that means nothing to a sentence model means something to the model that it attacks.
Ring-A-Bell looks for tokens whose embedding lies far along E(with a concept) - E(without it); here
a prompt scores by how far along that very line its embedding lies.
"""

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from pydantic import Field

from safegen.errors import ClassifierError, MissingExtraError
from safegen.forks import torch_runs
from safegen.nouns import Frozen, Scores
from safegen.risk.cache import Cached
from safegen.risk.combine import ScoreName, classifier_digest, refuse_longer
from safegen.risk.embedding import MAX_CHARACTERS, Embeddings
from safegen.risk.huggingface import weights_digest, windows_of
from safegen.risk.similarity import Phrase, rising

Part = Literal["text_encoder", "text_encoder_2", "text_encoder_3"]
_WINDOW = 77  # tokens, where the tokenizer names no shorter limit
_STEEP = 12.0  # of a score: from 0.1 to 0.9 within 0.37


class Contrast(Frozen):
    """What a concept looks like in prompts, and what the same prompts look like without it."""

    examples: tuple[Phrase, ...] = Field(
        min_length=3, description="phrases that mean it, about ten, as users would write them"
    )
    unlike: tuple[Phrase, ...] = Field(
        min_length=3,
        description="the same phrases without it: with nothing in its place, and with other things",
    )
    midpoint: float = Field(
        default=0.7,
        gt=0,
        lt=1,
        description="what scores 0.5, on the line from the mean of `unlike` (0) to that of "
        "`examples` (1)",
    )


class EncoderSettings(Frozen):
    """Concepts in the embeddings of the generator's own text encoder."""

    kind: Literal["encoder"]
    model: str = Field(
        default="",
        description="a folder, from the policy's own, or hub name of a diffusers pipeline; empty: "
        "the model that the guard is attached to",
    )
    revision: str = Field(default="main", description="of a name on the hub: best a commit")
    part: Part = Field(default="text_encoder", description="which of the model's text encoders")
    concepts: dict[ScoreName, Contrast] = Field(
        min_length=1, description="score's name -> what it looks like"
    )


class TextEncoder:
    """A text encoder of transformers with its tokenizer, as a pipeline calls them.

    A prompt's embedding is all that the denoiser attends to: the last hidden state at every
    position of the padded prompt.

    Raises:
        ClassifierError: the tokenizer is not one of transformers' fast ones.
    """

    def __init__(self, encoder: Any, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ClassifierError(
                f"expected a fast tokenizer of transformers, got {type(tokenizer).__name__}",
                "name a model in the classifier's `model`",
            )
        self._encoder = encoder
        # A copy, for the pipeline uses its own meanwhile: a tokenizer is not for two threads.
        self._tokenizer: Any = copy.deepcopy(tokenizer)
        self._lock = Lock()
        self._length = min(tokenizer.model_max_length, _WINDOW)
        words = json.loads(self._tokenizer.backend_tokenizer.to_str())
        settled = {key: words[key] for key in words.keys() - {"truncation", "padding"}}
        self.digest = classifier_digest(
            {
                "weights": weights_digest(encoder),
                "tokenizer": hashlib.sha256(
                    json.dumps(settled, sort_keys=True).encode()
                ).hexdigest(),
                "length": self._length,
            }
        )

    def __call__(self, prompt: str) -> Embeddings:
        """The embedding of each window of a prompt; shape (windows, positions x width).

        Raises:
            ClassifierError: the prompt is too long to be read in bounded time.
            InputError: this process is a fork of one in which torch calculated.
        """
        import torch

        torch_runs("a text encoder that reads prompts")
        refuse_longer(prompt, MAX_CHARACTERS)
        with self._lock:
            ids = windows_of(self._tokenizer, prompt, self._length, "max_length").input_ids
        device = next(self._encoder.parameters()).device
        with torch.inference_mode():
            hidden = self._encoder(ids.to(device)).last_hidden_state
        found: Embeddings = hidden.float().flatten(1).cpu().numpy()
        return found

    def all(self, phrases: Sequence[str]) -> Embeddings:
        """The first window's embedding of each phrase."""
        return np.stack([self(phrase)[0] for phrase in phrases])


def text_encoder_of(model: Any, part: Part = "text_encoder", revision: str = "main") -> TextEncoder:
    """A pipeline's text encoder; of a folder or a hub name, only that part of it is loaded.

    Raises:
        MissingExtraError: transformers or torch is not installed.
        ClassifierError: it has no such text encoder, or it cannot be loaded.
    """
    tokens = part.replace("text_encoder", "tokenizer")
    if isinstance(model, str | Path):
        return TextEncoder(*_loaded(str(model), part, tokens, revision))
    encoder, tokenizer = (getattr(model, each, None) for each in (part, tokens))
    if encoder is None or tokenizer is None:
        raise ClassifierError(
            f"the model ({type(model).__name__}) has no {part} with a {tokens}",
            "name another `part`, or a model in the classifier's `model`",
        )
    return TextEncoder(encoder, tokenizer)


def _loaded(model: str, part: Part, tokens: str, revision: str) -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "diffusers", "a text encoder") from error
    where = {"revision": revision}
    try:
        config = transformers.AutoConfig.from_pretrained(model, subfolder=part, **where)
        made = getattr(transformers, (config.architectures or ["none"])[0])
        # Other formats of weights are unpickled, which may run code.
        encoder = made.from_pretrained(
            model, subfolder=part, use_safetensors=True, dtype=torch.float32, **where
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(model, subfolder=tokens, **where)
    except (AttributeError, OSError, ValueError) as error:
        raise ClassifierError(
            f"cannot load the {part} of {model!r}: {error}",
            "give a folder written by save_pretrained, or a hub name you can reach",
        ) from error
    return encoder.eval(), tokenizer


class EncoderClassifier:
    """Scores prompts by where their embeddings lie between a concept's examples and the rest.

    Raises:
        ClassifierError: examples and `unlike` of a concept are the same to the encoder.
    """

    def __init__(self, name: str, settings: EncoderSettings, encoder: TextEncoder) -> None:
        self.name = name
        self._encoder = encoder
        concepts = settings.model_dump(mode="json", include={"concepts"})
        self.digest = classifier_digest({"encoder": encoder.digest, **concepts})
        self._lines = {
            each: _Line(each, contrast, encoder) for each, contrast in settings.concepts.items()
        }

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """One score per concept and prompt, of its highest window; an empty prompt scores 0.

        Raises:
            ClassifierError: a prompt is too long.
        """
        return [self._scores(prompt) for prompt in prompts]

    def _scores(self, prompt: str) -> Scores:
        if not prompt.strip():
            return Scores(values=dict.fromkeys(self._lines, 0.0))
        windows = self._encoder(prompt)
        return Scores(values={name: line.score(windows) for name, line in self._lines.items()})


class _Line:
    """From the mean of what a concept is unlike to the mean of its examples."""

    def __init__(self, name: str, contrast: Contrast, encoder: TextEncoder) -> None:
        self._start = encoder.all(contrast.unlike).mean(0)
        along = encoder.all(contrast.examples).mean(0) - self._start
        length = float(along @ along)
        if not length > 0:
            raise ClassifierError(
                f"the text encoder reads examples and `unlike` of {name!r} as the same",
                "give examples in words that the model knows",
            )
        self._along = along / length
        self._midpoint = contrast.midpoint

    def score(self, windows: Embeddings) -> float:
        """Of the window that lies farthest along the line."""
        farthest = float(((windows - self._start) @ self._along).max())
        return rising(farthest, self._midpoint, _STEEP)


class Unattached:
    """An encoder classifier whose model is not known yet: it refuses every prompt but an empty one.

    `attached` makes the classifier for a model.
    """

    digest = ""

    def __init__(self, name: str, settings: EncoderSettings) -> None:
        self.name = name
        self._settings = settings

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """Zeros for empty prompts.

        Raises:
            ClassifierError: there is another prompt.
        """
        if any(prompt.strip() for prompt in prompts):
            raise ClassifierError(
                "it reads by the text encoder of the model, and no model is attached",
                "attach one (Guard.attach, Policy.attached, `--model` of the commands), or name "
                "one in the classifier's `model`",
            )
        return [Scores(values=dict.fromkeys(self._settings.concepts, 0.0)) for _ in prompts]

    def attached(self, model: Any) -> Cached:
        """The classifier for one model: a pipeline, or the folder or hub name of one.

        Raises:
            MissingExtraError: the model is to be loaded, and transformers is not installed.
            ClassifierError: the model has no such text encoder, or it cannot be loaded.
        """
        encoder = text_encoder_of(model, self._settings.part, self._settings.revision)
        return Cached(EncoderClassifier(self.name, self._settings, encoder))
