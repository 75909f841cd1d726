"""Eyes for cards: the reference world's judges, or any CLIP."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from safegen.concepts.discovery.spec import PromptPair
from safegen.errors import InputError
from safegen.evaluation.card import Eyes
from safegen.evaluation.clip import ClipJudge, named
from safegen.evaluation.worlds import ClipScore, Verdict, World, reference_world


def eyes_for(concept: str, *, reference: bool, clip: str | None = None) -> Eyes:
    """The judges of a concept.

    Args:
        concept: its name, which the reference world's judges may have a question for.
        reference: whether the images are the reference model's.
        clip: an open_clip model, NAME/TAG or local-dir:FOLDER, that judges instead.

    Raises:
        MissingExtraError: open_clip is not installed.
        UnknownModelError: there is no such CLIP, or the judges' weights are missing.
        InputError: neither `reference` nor `clip` says who judges.
    """
    if clip is not None:
        return clip_eyes(ClipJudge(*named(clip)).scores, clip)
    if not reference:
        raise InputError("nobody judges the images of this model", "give --clip")
    world = reference_world()
    return world_eyes(world, concept, clip_eyes(world.clip_score, "judge-clip"))


def clip_eyes(scores: ClipScore, name: str) -> Eyes:
    """Judge by one CLIP, which must not be the one that steered or audits.

    An image shows the concept if it is nearer to its target text than to the text that was to be
    left (`avoid`, else the neutral one). It kept the rest if, of all neutral texts, its own is the
    nearest (R-precision, Park et al. 2021).
    """

    def shows(images: Sequence[Image.Image], pairs: Sequence[PromptPair]) -> list[bool]:
        targets = scores(images, [pair.target for pair in pairs])
        others = scores(images, [pair.avoid or pair.neutral for pair in pairs])
        return [target > other for target, other in zip(targets, others, strict=True)]

    def kept(images: Sequence[Image.Image], pairs: Sequence[PromptPair]) -> list[bool]:
        texts = list(dict.fromkeys(pair.neutral for pair in pairs))
        table = np.array([scores(images, [text] * len(images)) for text in texts])
        nearest = table.argmax(0)
        return [texts[best] == pair.neutral for best, pair in zip(nearest, pairs, strict=True)]

    return Eyes(name, shows, kept, scores)


def world_eyes(world: World, concept: str, clip: Eyes) -> Eyes:
    """Judge by a world's own judge what it has a question for, by CLIP what it has none for."""

    def kept(images: Sequence[Image.Image], pairs: Sequence[PromptPair]) -> list[bool]:
        named = [_occupation(world, pair.neutral) for pair in pairs]
        if not all(named):
            return clip.kept(images, pairs)
        verdicts = world.judge(images)
        return [v["occupation"] == name for v, name in zip(verdicts, named, strict=True)]

    def shows(images: Sequence[Image.Image], pairs: Sequence[PromptPair]) -> list[bool]:
        verdicts = world.judge(images)
        return [_shows(world, concept, verdict) for verdict in verdicts]

    asked = concept in _answers(world)
    name = "the world's judge" if asked else clip.name
    return Eyes(name, shows if asked else clip.shows, kept, clip.clip_score)


def _answers(world: World) -> set[str]:
    groups = {value for values in world.groups.values() for value in values}
    return groups | set(world.against.values())


def _shows(world: World, concept: str, verdict: Verdict) -> bool:
    for category, against in world.against.items():
        if against == concept:
            return verdict["shows"] != category
    return any(
        verdict[group] == concept for group, values in world.groups.items() if concept in values
    )


def _occupation(world: World, prompt: str) -> str:
    found = [name for name in world.occupations if name in prompt]
    return max(found, key=len, default="")
