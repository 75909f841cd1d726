"""What to learn and how much work may go into it: values that every method takes."""

from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field, ValidationError

from safegen.errors import InputError
from safegen.nouns import LARGEST_TRAINING_SEED, Frozen
from safegen.steering.site import MID_BLOCK

SEED_BLOCK = 1_000_003
"""What is drawn for a seed is drawn from seed · this on: learning first, cards further on."""

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, a line on what is going on)."""


class PromptPair(Frozen):
    """The text a vector is added to, and the texts whose score it must reproduce.

    With `avoid` the target is guided away from it: the way to learn the absence of something.
    """

    neutral: str
    target: str
    avoid: str = ""


class ConceptSpec(Frozen):
    """One concept: its name, its prompt pairs, and the sites it is added at."""

    name: str
    pairs: tuple[PromptPair, ...] = Field(min_length=1)
    sites: tuple[str, ...] = Field(default=(MID_BLOCK,), min_length=1)
    guidance: float = Field(
        default=3.0, gt=0, allow_inf_nan=False, description="how far the target is extrapolated"
    )
    held_out: tuple[PromptPair, ...] = Field(
        default=(), description="pairs that are not learned from, to measure on"
    )
    unrelated: tuple[str, ...] = Field(
        default=(), description="prompts that the vector must not change"
    )

    def prompts(self) -> dict[str, tuple[str, ...]]:
        """The training prompts by role, for the passport."""
        roles = {
            role: tuple(dict.fromkeys(getattr(pair, role) for pair in self.pairs))
            for role in ("neutral", "target", "avoid")
        }
        return roles | ({"unrelated": self.unrelated} if self.unrelated else {})


class Budget(Frozen):
    """How much work discovery may do, and from which seed."""

    trajectories: int = Field(default=40, ge=4, description="images (or trajectories) of own data")
    sampling_steps: int = Field(default=10, ge=2)
    steps: int = Field(default=60, ge=1, description="optimiser steps at most")
    batch: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    guidance_scale: float = Field(default=5.0, ge=1, description="of the sampling of own data")
    faithfulness: float = Field(
        default=0.3, ge=0, description="score matching: weight of keeping everything else"
    )
    states: int = Field(
        default=512,
        ge=0,
        description="self-discovery: noisy states drawn once, so that what precedes the site is "
        "computed once; 0: a new draw at every step",
    )
    patience: int = Field(
        default=4, ge=0, description="checks of the held-out loss without gain before an early stop"
    )
    relative: bool = Field(
        default=True, description="learning rate in units of the site's activations, falling to 0"
    )
    initial: float = Field(default=0.0, ge=0, description="vectors start uniform in ± this")
    precision: Literal["mixed", "full"] = Field(
        default="mixed",
        description="mixed: bfloat16, but on a CPU without AVX-512 full all the same",
    )
    centre: bool = Field(default=True, description="subtract the mean of the attribute group")
    normalise: bool = Field(
        default=False, description="contrast: every site as long as a typical activation there"
    )
    seed: int = Field(default=0, ge=0, le=LARGEST_TRAINING_SEED)


PUBLISHED = Budget(
    trajectories=1000,
    sampling_steps=30,
    guidance_scale=7.5,
    steps=2500,
    batch=8,
    learning_rate=0.1,
    faithfulness=0,
    states=0,
    patience=0,
    relative=False,
    initial=0.1,
    precision="full",
    centre=False,
    normalise=False,
)
"""Self-discovery as its published code runs it (train.py, data_creation.py, config.py).

1000 images of 30 steps at the default guidance of 7.5; Adam at a constant 0.1 without decay, betas
0.9 and 0.999; batches of 8 for 20 epochs, which is 2500 steps; float32; vectors start as a row of
`nn.Linear(100, …)` does. Ours differs in that images are not decoded, stored as JPEG and encoded
again, that they are sampled in mixed precision, and that text is padded as at inference.
"""

PRESETS: dict[str, Budget] = {
    "quick": Budget(trajectories=24, sampling_steps=8, steps=40),
    "standard": Budget(),
    "published": PUBLISHED,
}


def preset(
    name: str, method: str, seed: int, given: Mapping[str, int | float] | None = None
) -> Budget:
    """The budget called `name`, with the fields that are `given` in place of its own.

    Raises:
        InputError: there is none, a value is out of range, or `method` has no published form.
    """
    if name not in PRESETS:
        raise InputError(f"no budget {name!r}", f"expected one of: {', '.join(PRESETS)}")
    if name == "published" and method != "self-discovery":
        raise InputError(
            f"the budget 'published' is that of self-discovery, not of {method}",
            "use the method self-discovery, or another budget",
        )
    try:
        return Budget(**PRESETS[name].model_dump() | dict(given or {}) | {"seed": seed})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            f"--{'-'.join(map(str, first['loc'])).replace('_', '-')}: {first['msg']}, "
            f"got {first['input']}",
            "see: safegen vectors discover --help",
        ) from error
