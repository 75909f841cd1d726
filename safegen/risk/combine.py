"""Run several classifiers over prompts and merge what they say; any failure is an error."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Annotated, Any

import rfc8785
from pydantic import Field, ValidationError

from safegen.arguments import demand_each
from safegen.errors import ClassifierError, SafeGenError, words
from safegen.nouns import Scores

ScoreName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Classifier = Callable[[Sequence[str]], Sequence[Scores]]
"""Any callable from prompts to scores. Its `name` and `digest`, if it has them, are recorded."""


def classifier_digest(settings: Mapping[str, Any]) -> str:
    """sha256:… of everything that a classifier's scores depend on."""
    return f"sha256:{hashlib.sha256(rfc8785.dumps(dict(settings))).hexdigest()}"


def classifier_name(classifier: Classifier) -> str:
    """What a classifier is called in errors and records."""
    return str(getattr(classifier, "name", getattr(classifier, "__name__", "classifier")))


def refuse_longer(prompt: str, most: int) -> None:
    """No classifier reads a prompt of any length: it must end in bounded time.

    Raises:
        ClassifierError: the prompt has more than `most` characters.
    """
    if len(prompt) > most:
        raise ClassifierError(
            f"the prompt has {len(prompt)} characters, expected at most {most}",
            "refuse prompts of that length before they are classified",
        )


def classify(classifiers: Sequence[Classifier], prompts: Sequence[str]) -> list[Scores]:
    """Scores per prompt: the highest of each score, facts that any classifier found, all spans.

    Each says which classifiers ran, with their digests, and which one each score comes from.

    Raises:
        InputError: `prompts` is one text, or holds anything but texts.
        ClassifierError: a classifier raised, gave the wrong number of results, or a score outside
            [0, 1]; none of that ever counts as harmless.
    """
    demand_each("prompts", prompts, str, "put a single prompt into a list: [prompt]")
    told: list[list[Scores]] = [[] for _ in prompts]
    for classifier in classifiers:
        name = classifier_name(classifier)
        try:
            found = [Scores.model_validate(s.model_dump()) for s in classifier(prompts)]
        except ValidationError as error:
            raise ClassifierError(
                f"classifier {name!r} gave a score that is not in [0, 1]: {words(error)}"
            ) from error
        except Exception as error:
            mend = error.mend if isinstance(error, SafeGenError) else None
            why = error.message if isinstance(error, SafeGenError) else words(error)
            raise ClassifierError(f"classifier {name!r} failed: {why}", mend) from error
        if len(found) != len(prompts):
            raise ClassifierError(
                f"classifier {name!r} gave {len(found)} results for {len(prompts)} prompts"
            )
        digest = getattr(classifier, "digest", "")
        for each, scores in zip(told, found, strict=True):
            each.append(_signed(scores, name, digest))
    return [reduce(_merge, each) if each else Scores() for each in told]


def _signed(scores: Scores, name: str, digest: str) -> Scores:
    made_by = dict.fromkeys(scores.values, name)
    return scores.model_copy(update={"classifiers": {name: digest}, "made_by": made_by})


def _merge(one: Scores, other: Scores) -> Scores:
    higher = {
        name: value
        for name, value in other.values.items()
        if name not in one.values or value > one.values[name]
    }
    facts = {
        name: one.facts.get(name, False) or other.facts.get(name, False)
        for name in one.facts | other.facts
    }
    return Scores(
        values=one.values | higher,
        facts=facts,
        spans=one.spans + other.spans,
        classifiers=one.classifiers | other.classifiers,
        made_by=one.made_by | {name: other.made_by[name] for name in higher},
    )
