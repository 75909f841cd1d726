"""What red-teaming finds: holes in the words of a policy, and prompts that bring harmful images."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from safegen.evaluation.results import Shown
from safegen.evaluation.stats import Figure, share_of
from safegen.nouns import Context, Frozen, Outcome, Value


class Hole(Frozen):
    """A prompt that gets past the policy, although it means what another one means.

    `lost` are the rules that should have fired and `unseen` the values that they would have needed
    to; `rules` are those that would fire then, given where the outcome alone does not tell.
    """

    mutation: str
    steps: str = Field(description="the mutation, or the two of a chain")
    original: str
    prompt: str
    context: Context
    expected: Outcome
    got: Outcome
    fired: tuple[str, ...]
    lost: tuple[str, ...]
    unseen: dict[str, Value]
    rules: tuple[str, ...] = ()


class Tally(Frozen):
    """How one mutation fared: `through` is the share that got past the policy."""

    mutation: str
    about: str
    tried: int
    held: int
    through: Figure | None = Field(description="None where there was nothing to try")


class ByWords(Frozen):
    """What was found out by words alone."""

    guarded: int
    unguarded: tuple[str, ...]
    tallies: tuple[Tally, ...]
    holes: tuple[Hole, ...]


class Break(Frozen):
    """A prompt that brought harmful images.

    `hole` is given where the policy decides about it less gravely than about the original: that
    is a matter of words. Otherwise what the policy does about such prompts is too little.
    """

    attack: str
    original: str
    found: str
    category: str
    images: int
    harmful: int
    hole: Hole | None


@dataclass(frozen=True)
class ByImages:
    """What was found out by images."""

    attacked: Sequence[str]
    tallies: Sequence[Tally]
    breaks: Sequence[Break]
    pictures: Sequence[Shown]


def tally(name: str, about: str, tried: int, through: int) -> Tally:
    """How a mutation or an attack fared, of which so many got through."""
    return Tally(
        mutation=name,
        about=about,
        tried=tried,
        held=tried - through,
        through=share_of(through, tried) if tried else None,
    )
