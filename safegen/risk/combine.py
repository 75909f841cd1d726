"""Run several classifiers over prompts and merge what they say; any failure is an error."""

from collections.abc import Callable, Sequence

from pydantic import ValidationError

from safegen.errors import ClassifierError
from safegen.nouns import Scores

Classifier = Callable[[Sequence[str]], Sequence[Scores]]


def classify(classifiers: Sequence[Classifier], prompts: Sequence[str]) -> list[Scores]:
    """Scores per prompt: the highest of each score, facts that any classifier found, all spans.

    Raises:
        ClassifierError: a classifier raised, gave the wrong number of results, or a score outside
            [0, 1]; none of that ever counts as harmless.
    """
    merged = [Scores()] * len(prompts)
    for classifier in classifiers:
        name = getattr(classifier, "name", None) or getattr(classifier, "__name__", "classifier")
        try:
            found = [Scores.model_validate(s.model_dump()) for s in classifier(prompts)]
        except ValidationError as error:
            raise ClassifierError(
                f"classifier {name!r} gave a score that is not in [0, 1]: {error}"
            ) from error
        except Exception as error:
            raise ClassifierError(f"classifier {name!r} failed: {error}") from error
        if len(found) != len(prompts):
            raise ClassifierError(
                f"classifier {name!r} gave {len(found)} results for {len(prompts)} prompts"
            )
        merged = [_merge(one, other) for one, other in zip(merged, found, strict=True)]
    return merged


def _merge(one: Scores, other: Scores) -> Scores:
    values = {
        name: max(one.values.get(name, 0.0), other.values.get(name, 0.0))
        for name in one.values | other.values
    }
    facts = {
        name: one.facts.get(name, False) or other.facts.get(name, False)
        for name in one.facts | other.facts
    }
    return Scores(values=values, facts=facts, spans=one.spans + other.spans)
