"""`Card`: how well a vector works, as `safegen.evaluation.card` measured it."""

from typing import Literal

from safegen.nouns import Frozen

Effect = Literal["works", "no effect shown", "no room"]


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

    The dose is chosen on some noises; what it does is judged on others, that no part of learning
    or choosing has seen, image by image beside the same image unsteered.

    `verdict`: "works" if so much success has a chance below 2.5 % without an effect, "no effect
    shown" if not, "no room" where nine of ten images show the concept without steering.
    `p_value`: that chance (exact McNemar test, one-sided).
    `content`: share of images in which the rest of what was asked for is still to be seen.
    `unrelated`: mean absolute pixel distance to the unsteered image on prompts that have nothing to
    do with the concept, 0 to 1; `clip_drop`: how much of the CLIP score is lost on them.
    """

    verdict: Effect
    strength: float
    start: float
    stop: float
    success: float
    unsteered: float
    content: float
    unsteered_content: float
    unrelated: float
    clip_drop: float
    p_value: float
    judged: int
    """Images, on which success, content and verdict rest."""
    doses: tuple[Dose, ...]
    transfer: tuple[Setting, ...]
    images: int
    """Per figure of `doses` and `transfer`."""
    judge: str
    sampler: dict[str, str | int | float]
    chosen_from: int
    """Seed of the first image that the dose was chosen on; the others follow it."""
    judged_from: int
