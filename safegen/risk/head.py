"""The trained text head: how likely a prompt is to make a generator give something inappropriate.

Two parts look at the prompt: `semantic`, a kernel on its sentence embedding, and `lexical`, a
linear model on its words and pairs of words. A logistic curve joins them into one probability: that
the prompt is hot, among prompts that are clearly hot or cold (`Row`); those in between are not
counted, so among all prompts fewer are hot. `safegen.risk.training` trains it.
"""

import hashlib
import re
import zlib
from collections.abc import Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from ruamel.yaml import YAML

from safegen.errors import ClassifierError, MissingExtraError
from safegen.files import write_file
from safegen.nouns import Frozen, Scores
from safegen.risk.combine import classifier_digest
from safegen.risk.denied import Denied
from safegen.risk.embedding import Embeddings, shared_embedder
from safegen.risk.normalize import views
from safegen.shipped import REINSTALL

Array = NDArray[np.float32]
Words = tuple[NDArray[np.int64], Array]

BUCKETS = 2**14
_WORD = re.compile(r"\w\w+")
SCORES = ("risk", "semantic", "lexical")
# One of each kind that is read in a way of its own, for `words_digest`.
_ODD_PROMPTS = (
    "A Knife-fight, and blood! Blood!",
    "kn1fe b1ood $ex 9un k!ll 4dult n@ked 3 c0rpses",
    "35mm, 1080p, 2nd, 7yo, 90s, f/1.8, 4k",
    "k n i f e  g u n, a k.n.i.f.e, s-e-x, b / l / o / o / d, 9 u n, k 1 l l",
    "kn.ife, blo_od, gu--n, she'll, he\u2019ll, mother-in-law",
    "\uff4b\uff4e\uff49\uff46\uff45 \u043an\u0456f\u0435 \u03b2l\u03bf\u03bfd",
    "\u1d0b\u026a\u029f\u029f \U0001f170\U0001f182\U0001f182 \U0001f1f8\U0001f1ea",
    "bl\u200bo\u00ado\u2060d, nu\u0301de, \u00e9p\u00e9e, stra\u00dfe, c\u0327a, gun\ufe0f\u20e3",
    "gun\u2800fire, sla\u115f\u1160yer, a\u00a0\u00a0dead\tman\nwalks\u2028home",
    "\u0939\u093f\u0902\u0938\u093e, \u043d\u043e\u0436, \u5203\u7269",
)
_SHAPES = {"centres": 2, "kernel": 1, "words": 1, "bias": 1, "join": 1}


class HeadSettings(Frozen):
    """The trained text head; it gives the score `risk`."""

    kind: Literal["head"]
    path: str = Field(
        default="",
        description="a head of your own training, by its path from the policy's folder; empty: the "
        "shipped one",
    )
    denied: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(
        default=(),
        description="words that are not read where a prompt rules them out: blood, for 'no blood'",
    )


class Head:
    """The weights of a head, as named arrays.

    `centres` (centres × 384) and `kernel` (centres) are the semantic part, `words` (16,384) the
    lexical one, `bias` what is added to each, `join` the weights of both and the constant of the
    logistic curve.
    """

    def __init__(self, arrays: dict[str, Any]) -> None:
        self.arrays: dict[str, Array] = {
            name: np.asarray(value, dtype=np.float32) for name, value in arrays.items()
        }

    @classmethod
    def load(cls, path: Path) -> "Head":
        """Read a safetensors file.

        Raises:
            MissingExtraError: safetensors is not installed.
            ClassifierError: it is no head, or one for prompts that are read in another way.
        """
        try:
            from safetensors import safe_open
            from safetensors.numpy import load
        except ImportError as error:
            raise MissingExtraError("safetensors", "risk", "the trained text head") from error
        try:
            head = cls(load(path.read_bytes()))
            with safe_open(path, framework="numpy") as file:
                known = (file.metadata() or {}).get("words")
        except Exception as error:  # safetensors' own exceptions have no common base
            mend = _ABSENT if isinstance(error, OSError) else _MEND
            raise ClassifierError(f"cannot read the head {path}: {error}", mend) from error
        found = {name: array.ndim for name, array in head.arrays.items()}
        if found != _SHAPES or head.arrays["words"].size != BUCKETS:
            raise ClassifierError(f"{path} holds {sorted(found)}, which is no head", _MEND)
        if known != words_digest():
            raise ClassifierError(
                f"the head {path} was trained by a version that reads prompts in another way", _MEND
            )
        return head

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        from safetensors.numpy import save

        arrays = {name: array.astype(np.float16) for name, array in self.arrays.items()}
        write_file(path, save(arrays, metadata={"words": words_digest()}))

    def parts(self, embeddings: Embeddings, found: Sequence[Words]) -> Array:
        """What the semantic and the lexical part say; shape (2, prompts)."""
        bias = self.arrays["bias"]
        semantic = rbf(embeddings, self.arrays["centres"]) @ self.arrays["kernel"]
        lexical = [self.arrays["words"][buckets] @ weights for buckets, weights in found]
        return np.stack([semantic, np.array(lexical, dtype=np.float32)]) + bias[:, None]

    def risk(self, parts: Array) -> Array:
        """The probability of hot against cold that both parts together make; shape (prompts,)."""
        return logistic(self.arrays["join"][:2] @ parts + self.arrays["join"][2])


_ASSETS = Path(str(files("safegen.risk") / "assets"))
_ABSENT = "put it there, or give another path; in a policy, it starts from that file's folder"
_MEND = "train one with `safegen risk train`, or reinstall safegen"


def _require_shipped(weights: str, path: Path) -> None:
    """See that the weights with this sha256 are those of the shipped card."""
    expected = YAML(typ="safe").load((_ASSETS / "card.yaml").read_text(encoding="utf-8"))["sha256"]
    if weights != expected:
        raise ClassifierError(
            f"expected weights with sha256 {expected}, found {weights} in {path}", REINSTALL
        )


class HeadClassifier:
    """Gives `risk`, the probability of hot against cold, and its parts as `semantic`, `lexical`.

    Raises:
        MissingExtraError: a package of the extra `risk` is not installed.
        ClassifierError: there is no head at the path, or the shipped one is damaged.
    """

    def __init__(self, name: str, settings: HeadSettings) -> None:
        self._embedder = shared_embedder()
        path = Path(settings.path) if settings.path else _ASSETS / "head.safetensors"
        self.head = Head.load(path)
        self.name = name
        weights = hashlib.sha256(path.read_bytes()).hexdigest()
        if not settings.path:
            _require_shipped(weights, path)
        self._denied = Denied(settings.denied)
        denied = {"denied": list(settings.denied)} if settings.denied else {}
        self.digest = classifier_digest(
            {"embedder": self._embedder.digest, "weights": weights, **denied}
        )

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """Three scores per prompt; of a long one, those of its riskiest window.

        Raises:
            ClassifierError: a prompt is too long.
        """
        return [self._scores(self._denied.told(prompt)) for prompt in prompts]

    def _scores(self, prompt: str) -> Scores:
        if not prompt.strip():
            return Scores(values=dict.fromkeys(SCORES, 0.0))
        windows = self._embedder(prompt)
        parts = self.head.parts(windows, [words(prompt)] * len(windows))
        risk = self.head.risk(parts)
        riskiest = int(risk.argmax())
        semantic, lexical = parts[:, riskiest].clip(0, 1)
        values = map(float, (risk[riskiest], semantic, lexical))
        return Scores(values=dict(zip(SCORES, values, strict=True)))


def rbf(embeddings: Embeddings, centres: Array) -> Array:
    """exp(-|x - c|²) of every embedding and centre."""
    squared = (embeddings**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * embeddings @ centres.T
    kernel: Array = np.exp(-squared).astype(np.float32)
    return kernel


def words(prompt: str) -> Words:
    """The buckets of a prompt's words and pairs of words, and their weights, of unit length."""
    *_, view = views(prompt)[:2]  # the view with commonest leetspeak undone, if there is any
    found = _WORD.findall(view.text)
    told = [*found, *(f"{one} {two}" for one, two in pairwise(found))]
    buckets, counts = np.unique(
        np.array([zlib.crc32(each.encode()) % BUCKETS for each in told], dtype=np.int64),
        return_counts=True,
    )
    return buckets, (counts / max(float(np.linalg.norm(counts)), 1.0)).astype(np.float32)


def words_digest() -> str:
    """sha256:… of what `words` gives for odd prompts.

    It stands in a head's file: the head is right for those words alone that it was trained on, and
    has to be trained again when prompts come to be read in another way.
    """
    told = [(buckets.tolist(), weights.tolist()) for buckets, weights in map(words, _ODD_PROMPTS)]
    return f"sha256:{hashlib.sha256(repr(told).encode()).hexdigest()}"


def logistic(values: Array) -> Array:
    """1 / (1 + e^-x)."""
    return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float32)
