"""From the settings in a policy's `classifiers:` section to classifiers that run."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from safegen.risk.cache import Cached
from safegen.risk.combine import Classifier
from safegen.risk.encoder import EncoderClassifier, EncoderSettings, Unattached, text_encoder_of
from safegen.risk.head import SCORES, HeadClassifier, HeadSettings
from safegen.risk.huggingface import HuggingFaceClassifier, HuggingFaceSettings
from safegen.risk.remote import RemoteClassifier, RemoteSettings
from safegen.risk.similarity import SimilarityClassifier, SimilaritySettings

Settings = Annotated[
    EncoderSettings | HeadSettings | HuggingFaceSettings | RemoteSettings | SimilaritySettings,
    Field(discriminator="kind"),
]


def scores_of(settings: Settings) -> frozenset[str]:
    """The names of the scores that a classifier of these settings gives."""
    match settings:
        case HeadSettings():
            return frozenset(SCORES)
        case EncoderSettings() | SimilaritySettings():
            return frozenset(settings.concepts)
        case _:
            return frozenset(settings.scores)


def build(settings: Mapping[str, Settings]) -> list[Cached | Unattached]:
    """One classifier for each entry, under its name; answers are remembered by prompt hash.

    One that needs the model that the policy will be attached to waits for it.

    Raises:
        MissingExtraError: a classifier's package is not installed; the message names the extra.
        ClassifierError: a classifier cannot be made, e.g. its weights are damaged.
    """
    return [
        Unattached(name, each)
        if isinstance(each, EncoderSettings) and not each.model
        else Cached(_made(name, each))
        for name, each in settings.items()
    ]


def attached(classifiers: Sequence[Classifier], model: Any) -> list[Classifier]:
    """The classifiers, those that waited for a model with this one.

    Raises:
        MissingExtraError: the model is to be loaded, and transformers is not installed.
        ClassifierError: the model has no text encoder as they need it.
    """
    return [each.attached(model) if isinstance(each, Unattached) else each for each in classifiers]


def _made(name: str, settings: Settings) -> Classifier:
    match settings:
        case EncoderSettings():
            encoder = text_encoder_of(settings.model, settings.part, settings.revision)
            return EncoderClassifier(name, settings, encoder)
        case HeadSettings():
            return HeadClassifier(name, settings)
        case HuggingFaceSettings():
            return HuggingFaceClassifier(name, settings)
        case RemoteSettings():
            return RemoteClassifier(name, settings)
        case SimilaritySettings():
            return SimilarityClassifier(name, settings)
