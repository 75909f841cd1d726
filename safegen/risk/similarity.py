"""Concepts described by example phrases: a prompt scores by how near in meaning it comes to them.

Nothing is trained: a concept is a dozen phrases, and perhaps some that it must not be taken for.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from safegen.nouns import Frozen, Scores
from safegen.risk.combine import ScoreName, classifier_digest
from safegen.risk.denied import Denied
from safegen.risk.embedding import Embeddings, shared_embedder
from safegen.risk.parts import VERSION as PARTS

Phrase = Annotated[str, Field(min_length=1, max_length=1000)]
_STEEP = 24.0  # of the score: from 0.1 to 0.9 within 0.18
_SOFT = 0.14  # the lower, the more the nearest phrases alone count
_AGAINST = 0.4  # how much nearness to `unlike` counts
_ANYTHING = 0.2  # how near unrelated prompts come to phrases: for concepts without `unlike`
# Of itself a plain prompt comes near to any phrase about the same kind of thing: these count
# against every concept, beside its own `unlike`.
_PLAIN = (
    *("a person", "people", "a man", "a woman", "a couple", "a family", "a crowd", "a child"),
    *("a portrait", "a face", "a body", "hands", "an animal", "a monster", "a soldier"),
    *("a house", "a room", "a bathroom", "a hospital", "a street", "a bridge", "a train", "a car"),
    *("a forest", "a mountain", "a cliff", "the sea", "a tool", "a machine", "a mask", "clothes"),
)


class Concept(Frozen):
    """What a concept looks like in prompts."""

    examples: tuple[Phrase, ...] = Field(
        min_length=3, description="phrases that mean it, about ten, as users would write them"
    )
    unlike: tuple[Phrase, ...] = Field(
        default=(), description="phrases that come near but do not mean it"
    )
    midpoint: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="the nearness that scores 0.5: harmless prompts rarely have 0.2, and phrases "
        "that mean the concept 0.2 to 0.5",
    )


class SimilaritySettings(Frozen):
    """Similarity to described concepts, each of which becomes a score."""

    kind: Literal["similarity"]
    concepts: dict[ScoreName, Concept] = Field(
        min_length=1, description="score's name -> what it looks like"
    )
    denied: tuple[Phrase, ...] = Field(
        default=(),
        description="words that are left out of what is compared where a prompt rules them out, "
        "since likeness hears no negation: nudity, for 'no nudity'",
    )


class SimilarityClassifier:
    """Scores prompts by their similarity to the examples of each concept.

    Nearness to phrases is a mean of the cosines to all of them in which the nearest count most;
    that to `unlike` counts against the concept with two fifths of its value.

    Raises:
        MissingExtraError: a package of the extra `risk` is not installed.
    """

    def __init__(self, name: str, settings: SimilaritySettings) -> None:
        self._embedder = shared_embedder()
        self.name = name
        self.digest = classifier_digest(
            {
                "embedder": self._embedder.digest,
                "settings": settings.model_dump(
                    mode="json", exclude=None if settings.denied else {"denied"}
                ),
                "nearness": [_STEEP, _SOFT, _AGAINST, _ANYTHING, *_PLAIN],
                "parts": PARTS,
            }
        )
        self._denied = Denied(settings.denied)
        self._plain = self._embedder.all(_PLAIN)
        self._concepts: Mapping[str, tuple[Embeddings, Embeddings | None, float]] = {
            each: (
                self._embedder.all(concept.examples),
                self._embedder.all(concept.unlike) if concept.unlike else None,
                concept.midpoint,
            )
            for each, concept in settings.concepts.items()
        }

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """One score per concept and prompt: that of the window or part that comes nearest.

        Raises:
            ClassifierError: a prompt is too long.
        """
        return [self._scores(self._embedder.by_parts(self._denied.told(each))) for each in prompts]

    def _scores(self, windows: Embeddings) -> Scores:
        plain = _nearness(windows, self._plain)
        return Scores(
            values={
                name: rising(_nearest(windows, plain, examples, unlike), midpoint, _STEEP)
                for name, (examples, unlike, midpoint) in self._concepts.items()
            }
        )


def _nearest(
    windows: Embeddings, plain: Embeddings, examples: Embeddings, unlike: Embeddings | None
) -> float:
    """How near the nearest window comes to a concept; `plain`: how near each comes to _PLAIN."""
    other = _ANYTHING if unlike is None else _nearness(windows, unlike)
    return float((_nearness(windows, examples) - _AGAINST * np.maximum(other, plain)).max())


def _nearness(windows: Embeddings, phrases: Embeddings) -> Embeddings:
    """How near each window comes to phrases: a mean of cosines in which high ones count most."""
    soft: Embeddings = _SOFT * np.log(np.exp(windows @ phrases.T / _SOFT).mean(axis=1))
    return soft


def rising(value: float, midpoint: float, steep: float) -> float:
    """A score in [0, 1] that rises with a value, and is 0.5 at the midpoint."""
    return 0.5 + 0.5 * math.tanh(0.5 * steep * (value - midpoint))
