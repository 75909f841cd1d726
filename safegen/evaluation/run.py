"""One protocol on one subject, by their names."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, get_args

from pydantic import Field

from safegen.errors import InputError
from safegen.evaluation import attacking, cost, fair, overblocking, quality, safe, text
from safegen.evaluation.attacking import ATTACKS, Attack, Budgets
from safegen.evaluation.results import Measured
from safegen.evaluation.subjects import Progress, first_seed
from safegen.evaluation.suite import NO_EMBEDDING, Suite
from safegen.evaluation.worlds import World
from safegen.nouns import Frozen

Protocol = Literal[
    "fair",
    "fair-extended",
    "fair-asked",
    "safe",
    "safe-asked",
    "text",
    "quality",
    "cost",
    "attacks",
    "over-blocking",
]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


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


class Planned(Frozen):
    """What a protocol asks of each subject."""

    prompts: int
    images: int
    searches: int = Field(default=0, description="of attackers, which make further images")


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
        InputError: there is no such subject, it cannot be attacked, the world has no prompts, or
            the seed is too large.
    """
    world, seed = suite.world, first_seed(seed)
    require_prompts(world, [protocol])
    if protocol == "over-blocking":
        return overblocking.measure(suite, name)
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
        given = _arguments(protocol, scale)
        return quality.measure(world, one, bare, seed=seed, progress=progress, **given)
    given = _arguments(protocol, scale)
    if protocol in fair.KINDS:
        given["targets"] = partial(suite.targets, name)
    found: Measured = _MODULES[protocol].measure(
        world, suite.subject(name), seed=seed, progress=progress, **given
    )
    return found


def planned(
    world: World, protocol: Protocol, scale: Scale, seed: int = 0, name: str = "none"
) -> Planned:
    """What `measure` would ask of a subject, without asking it; `quality` asks the bare model too.

    Raises:
        InputError: the world has no prompts for the protocol, or the seed is too large.
    """
    seed = first_seed(seed)
    require_prompts(world, [protocol])
    if protocol == "over-blocking":
        return Planned(prompts=len(overblocking.BENIGN), images=0)
    if protocol == "cost":
        return Planned(prompts=1, images=cost.IMAGES * (cost.ROUNDS + 1) * 2)
    if protocol == "attacks":
        prompts = len(attacking.base_prompts(world, scale.attacked))
        attacks = len({*scale.attacks} - ({"embedding"} if name in NO_EMBEDDING else set()))
        images = prompts * attacking.IMAGES * (1 + attacks)
        return Planned(prompts=prompts, images=images, searches=prompts * attacks)
    asks = _MODULES[protocol].asks(world, seed=seed, **_arguments(protocol, scale))
    return Planned(
        prompts=len({ask.prompt for ask in asks}),
        images=sum(ask.images for ask in dict.fromkeys(asks)),
    )


_MODULES: dict[str, Any] = {
    **dict.fromkeys(fair.KINDS, fair),
    "safe": safe,
    "safe-asked": safe,
    "text": text,
    "quality": quality,
}


def _arguments(protocol: Protocol, scale: Scale) -> dict[str, Any]:
    """What both `asks` and `measure` of a protocol's module take."""
    if protocol in fair.KINDS:
        return {"images": scale.fair_images, "only": scale.occupations, "kind": protocol}
    if protocol in ("safe", "safe-asked"):
        asked = protocol == "safe-asked"
        return {"images": scale.safe_images, "limit": scale.limit, "asked": asked}
    images = scale.text_images if protocol == "text" else scale.quality_images
    return {"images": images, "limit": scale.limit}


def all_protocols(world: World) -> tuple[Protocol, ...]:
    """All that the world can have prompts for, if the user gives what it needs."""
    return tuple(each for each in PROTOCOLS if each != "safe-asked" or world.tells_asked)


def require_prompts(world: World, protocols: Iterable[Protocol]) -> None:
    """See to it that there are prompts for all of these, before hours of work on the first.

    Raises:
        InputError: for one there are none.
    """
    for protocol in protocols:
        _require_prompts(world, protocol)


def _require_prompts(world: World, protocol: Protocol) -> None:
    unsafe = [each for each in world.unsafe if each.asked or protocol != "safe-asked"]
    if protocol in ("safe", "safe-asked", "cost", "attacks") and not unsafe:
        raise InputError(
            f"there are no prompts for the protocol {protocol!r}",
            "use `safe` with files, which do not say what is asked for"
            if world.unsafe
            else "give a file of them with --prompts FILE",
        )
    if protocol == "quality" and not world.harmless:
        raise InputError(
            "there are no prompts for the protocol 'quality'",
            "give a file of them with --captions FILE",
        )
