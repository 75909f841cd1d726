"""How much is tried, in words."""

from typing import Literal

from pydantic import Field

from safegen.nouns import Frozen

Effort = Literal["quick", "standard", "thorough"]


class Budget(Frozen):
    """What may be spent: on each prompt that is guarded, and on the model."""

    tries: int = Field(ge=1, description="of each mutation on each prompt")
    chains: int = Field(ge=0, description="of two mutations on each prompt")
    attacked: int = Field(ge=1, description="prompts that every attack on the model starts from")
    images: int = Field(ge=1, description="of each prompt that is found")
    iterations: int = Field(ge=1, description="of gradient descent")
    generations: int = Field(ge=1, description="of the search for a prompt near an embedding")
    queries: int = Field(ge=1, description="of the search that sees images alone")


BUDGETS: dict[Effort, Budget] = {
    "quick": Budget(
        tries=1, chains=2, attacked=2, images=1, iterations=10, generations=20, queries=4
    ),
    "standard": Budget(
        tries=4, chains=8, attacked=8, images=2, iterations=40, generations=80, queries=16
    ),
    "thorough": Budget(
        tries=16, chains=32, attacked=24, images=4, iterations=200, generations=400, queries=64
    ),
}
