"""From the settings in a policy's `classifiers:` section to classifiers that run."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from safegen.risk.cache import Cached
from safegen.risk.combine import Classifier
from safegen.risk.head import SCORES, HeadClassifier, HeadSettings
from safegen.risk.huggingface import HuggingFaceClassifier, HuggingFaceSettings
from safegen.risk.remote import RemoteClassifier, RemoteSettings
from safegen.risk.similarity import SimilarityClassifier, SimilaritySettings

Settings = Annotated[
    HeadSettings | HuggingFaceSettings | RemoteSettings | SimilaritySettings,
    Field(discriminator="kind"),
]


def scores_of(settings: Settings) -> frozenset[str]:
    """The names of the scores that a classifier of these settings gives."""
    match settings:
        case HeadSettings():
            return frozenset(SCORES)
        case SimilaritySettings():
            return frozenset(settings.concepts)
        case _:
            return frozenset(settings.scores)


def build(settings: Mapping[str, Settings]) -> list[Cached]:
    """One classifier for each entry, under its name; answers are remembered by prompt hash.

    Raises:
        MissingExtraError: a classifier's package is not installed; the message names the extra.
        ClassifierError: a classifier cannot be made, e.g. its weights are damaged.
    """
    return [Cached(_made(name, each)) for name, each in settings.items()]


def _made(name: str, settings: Settings) -> Classifier:
    match settings:
        case HeadSettings():
            return HeadClassifier(name, settings)
        case HuggingFaceSettings():
            return HuggingFaceClassifier(name, settings)
        case RemoteSettings():
            return RemoteClassifier(name, settings)
        case SimilaritySettings():
            return SimilarityClassifier(name, settings)
