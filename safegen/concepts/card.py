"""`Card`: how well a vector works, as `safegen.evaluation.card` measured it."""

from typing import Literal

from safegen.nouns import Frozen


class Dose(Frozen):
    """What one strength in one window did; shares of the images, in [0, 1]."""

    strength: float
    start: float
    stop: float
    success: float
    content: float


class Setting(Frozen):
    """The recommended dose under another setting of the sampler, beside no steering at all."""

    what: str
    success: float
    unsteered: float
    content: float


class Card(Frozen):
    """Measured on held-out prompts: what the vector does, and what it does besides.

    `verdict`: "works" if the lower end of the success's 95 % interval is above the unsteered share,
    "no effect shown" if not, "no room" where most images show the concept without steering.
    `content`: share of images in which the rest of what was asked for is still to be seen.
    `unrelated`: mean absolute pixel distance to the unsteered image on prompts that have nothing to
    do with the concept, 0 to 1; `clip_drop`: how much of the CLIP score is lost on them.
    """

    verdict: Literal["works", "no effect shown", "no room"]
    strength: float
    start: float
    stop: float
    success: float
    unsteered: float
    content: float
    unsteered_content: float
    unrelated: float
    clip_drop: float
    doses: tuple[Dose, ...]
    transfer: tuple[Setting, ...]
    images: int
    """Per figure."""
    judge: str
    sampler: dict[str, str | int | float]
    seed: int
