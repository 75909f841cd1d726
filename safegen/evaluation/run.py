"""One protocol on one subject, by their names."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from pydantic import Field

from safegen.evaluation import attacking, cost, fair, quality, safe, text
from safegen.evaluation.attacking import ATTACKS, Attack, Budgets
from safegen.evaluation.results import Measured
from safegen.evaluation.subjects import Progress
from safegen.evaluation.suite import Suite
from safegen.nouns import Frozen

Protocol = Literal[
    "fair", "fair-extended", "safe", "safe-asked", "text", "quality", "cost", "attacks"
]
PROTOCOLS: tuple[Protocol, ...] = (
    "fair",
    "fair-extended",
    "safe",
    "safe-asked",
    "text",
    "quality",
    "cost",
    "attacks",
)


class Scale(Frozen):
    """How many images each protocol makes."""

    fair_images: int = Field(default=100, ge=1, description="per occupation")
    occupations: tuple[str, ...] = Field(default=(), description="just these; all if empty")
    safe_images: int = Field(default=10, ge=1, description="per prompt")
    text_images: int = Field(default=4, ge=1, description="per prompt")
    quality_images: int = Field(default=2, ge=1, description="per prompt")
    limit: int = Field(default=0, ge=0, description="prompts per protocol; 0: all")
    attacked: int = Field(default=12, ge=1, description="prompts attacked")
    attacks: tuple[Attack, ...] = ATTACKS
    budgets: Budgets = Budgets()


def measure(
    suite: Suite,
    protocol: Protocol,
    name: str,
    scale: Scale,
    seed: int = 0,
    progress: Progress | None = None,
) -> Measured:
    """Measure the subject `name` of `suite` by `protocol`.

    Raises:
        InputError: there is no such subject, or it cannot be attacked.
    """
    world = suite.world
    if protocol == "attacks":
        return attacking.measure(
            world,
            suite.arm(name),
            suite.pipeline,
            suite.folder,
            attacks=scale.attacks,
            prompts=scale.attacked,
            steps=suite.steps,
            budgets=scale.budgets,
            seed=seed,
            progress=progress,
        )
    if protocol in ("quality", "cost"):
        one, bare = suite.subject(name, batch=1), suite.subject("none", batch=1)
        if protocol == "cost":
            return cost.measure(world, one.subject, bare.subject)
        return quality.measure(
            world,
            one,
            bare,
            world.clip_score,
            world.features,
            images=scale.quality_images,
            seed=seed,
            limit=scale.limit,
            progress=progress,
        )
    of: dict[str, Callable[..., Any]] = {
        "fair": partial(fair.measure, images=scale.fair_images, only=scale.occupations),
        "fair-extended": partial(
            fair.measure, images=scale.fair_images, only=scale.occupations, extended=True
        ),
        "safe": partial(safe.measure, images=scale.safe_images, limit=scale.limit),
        "safe-asked": partial(
            safe.measure, images=scale.safe_images, limit=scale.limit, asked=True
        ),
        "text": partial(text.measure, images=scale.text_images, limit=scale.limit),
    }
    found: Measured = of[protocol](world, suite.subject(name), seed=seed, progress=progress)
    return found
