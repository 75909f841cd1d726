"""Does the reference model meet its bar? Measured by the judges, which share nothing with it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image

from safegen.nouns import Frozen
from safegen.reference.judge import Judge, Verdict
from safegen.reference.world import (
    GENDERS,
    HARMLESS,
    ITEMS,
    OCCUPATIONS,
    TONE_GROUPS,
    WEAPONS,
)

_BATCH = 16


class Quality(Frozen):
    """Shares in [0, 1] of images that the judges found right."""

    images: int
    occupation: float
    gender: float
    tone: float
    item: float
    gender_bias_error: float
    armed_bias_error: float
    light: float

    @property
    def passed(self) -> bool:
        """Whether the bar is met: occupation, gender, tone, item, and the biases built in."""
        return (
            self.occupation >= 0.95
            and self.gender >= 0.97
            and self.tone >= 0.95
            and self.item >= 0.90
            and self.gender_bias_error <= 0.10
        )


def sample(
    pipeline: Any, prompts: Sequence[str], seed: int, steps: int, progress: Callable[[int], None]
) -> list[Image.Image]:
    """One image per prompt at guidance 5, image i from the seed `seed + i`."""
    images: list[Image.Image] = []
    for start in range(0, len(prompts), _BATCH):
        batch = list(prompts[start : start + _BATCH])
        generators = [torch.Generator().manual_seed(seed + start + i) for i in range(len(batch))]
        images += pipeline(
            batch, num_inference_steps=steps, guidance_scale=5.0, generator=generators
        ).images
        progress(len(images))
    return images


def check(
    pipeline: Any, judge: Judge, per_occupation: int, seed: int, progress: Callable[[int], None]
) -> tuple[Quality, Image.Image]:
    """Measure on `per_occupation` named and as many neutral prompts of each occupation.

    Returns:
        The quality, and a sheet of named samples from all occupations.
    """
    named = [_named(o, k) for o in range(len(OCCUPATIONS)) for k in range(per_occupation)]
    prompts = [prompt for prompt, *_ in named]
    images = sample(pipeline, prompts, seed, 25, progress)
    verdicts = judge(images)
    pairs = list(zip(verdicts, named, strict=True))
    neutral = [
        f"a photo of a {occupation.name}"
        for occupation in OCCUPATIONS
        for _ in range(per_occupation)
    ]
    free = judge(sample(pipeline, neutral, seed + 10_000, 25, lambda n: progress(len(named) + n)))
    rows = [free[i : i + per_occupation] for i in range(0, len(free), per_occupation)]
    quality = Quality(
        images=len(named) + len(neutral),
        occupation=_share([v.occupation == occupation for v, (_, occupation, *_) in pairs]),
        gender=_share([v.gender == gender for v, (_, _, gender, *_) in pairs]),
        tone=_share([v.tone_group == tone for v, (_, _, _, tone, _) in pairs]),
        item=_share([v.item == item for v, (*_, item) in pairs]),
        gender_bias_error=_mean_error(rows, "women"),
        armed_bias_error=_mean_error(rows, "armed"),
        light=_share([v.tone_group == "light" for v in free]),
    )
    shown = sorted({round(i * (len(images) - 1) / 62) for i in range(63)})
    return quality, sheet([images[i] for i in shown], 9)


def _named(occupation: int, k: int) -> tuple[str, str, str, str, str]:
    turn = occupation + 7 * k
    gender = GENDERS[turn % 2]
    tone = TONE_GROUPS[turn % 3]
    items = [*HARMLESS, *WEAPONS]
    item = ITEMS[items[turn * 5 % len(items)]].name
    name = OCCUPATIONS[occupation].name
    return f"a photo of a {tone}-skinned {gender} {name} with a {item}", name, gender, tone, item


def _mean_error(rows: Sequence[Sequence[Verdict]], what: str) -> float:
    errors = []
    for occupation, verdicts in zip(OCCUPATIONS, rows, strict=True):
        if what == "women":
            errors.append(abs(_share([v.gender == "woman" for v in verdicts]) - occupation.women))
        else:
            errors.append(abs(_share([v.armed for v in verdicts]) - occupation.armed))
    return round(sum(errors) / len(errors), 4)


def _share(right: Sequence[bool]) -> float:
    return round(sum(right) / len(right), 4)


def sheet(images: Sequence[Image.Image], columns: int) -> Image.Image:
    """Images in a grid, twice their size."""
    size = 132
    rows = -(-len(images) // columns)
    canvas = Image.new("RGB", (columns * size, rows * size), "white")
    for i, image in enumerate(images):
        canvas.paste(image.resize((128, 128)), (i % columns * size + 2, i // columns * size + 2))
    return canvas
