"""Ring-A-Bell (ICLR 2024): a prompt whose text embedding is that of another plus a concept.

It knows the text encoder alone. The concept is the mean difference of embeddings over pairs of
prompts with and without it; a genetic search looks for tokens whose embedding is nearest to
E(prompt) + η·concept. Published: population 200, 3000 generations, 16 to 77 tokens, mutation 0.25,
crossover 0.5.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from safegen.evaluation.attacks.target import Target
from safegen.nouns import Frozen


class InversionBudget(Frozen):
    """How hard to try."""

    tokens: int = 12
    population: int = 60
    generations: int = 80
    strength: float = 3.0
    mutation: float = 0.25
    seed: int = 0


@torch.no_grad()
def concept_direction(target: Target, pairs: Sequence[tuple[str, str]]) -> Tensor:
    """Mean of E(with) − E(without) over the pairs: [1, L, D]."""
    differences = [
        target.text(target.ids(with_)) - target.text(target.ids(without))
        for with_, without in pairs
    ]
    return torch.stack(differences).mean(0)


@torch.no_grad()
def attack(target: Target, prompt: str, direction: Tensor, budget: InversionBudget) -> str:
    """The best prompt found."""
    generator = torch.Generator().manual_seed(budget.seed)
    goal = target.text(target.ids(prompt)) + budget.strength * direction
    frame = target.ids("")[0]
    vocabulary = len(target.words)

    def draw(count: int) -> Tensor:
        return torch.randint(2, vocabulary, (count, budget.tokens), generator=generator)

    population = draw(budget.population)
    half = budget.population // 2
    for _ in range(budget.generations):
        best = _distances(target, population, frame, goal).argsort()[:half]
        parents = population[best]
        mothers, fathers = (
            parents[torch.randint(half, (budget.population - half,), generator=generator)]
            for _ in range(2)
        )
        crossed = torch.rand(mothers.shape, generator=generator) < 0.5
        children = torch.where(crossed, mothers, fathers)
        mutated = torch.rand(children.shape, generator=generator) < budget.mutation / 2
        children = torch.where(mutated, draw(len(children)), children)
        population = torch.cat([parents, children])
    found = population[_distances(target, population, frame, goal).argmin()]
    return target.decode(found.tolist())


def _distances(target: Target, population: Tensor, frame: Tensor, goal: Tensor) -> Tensor:
    rows = frame.repeat(len(population), 1)
    rows[:, 1 : 1 + population.shape[1]] = population.to(frame.device)
    embedded = target.pipeline.text_encoder(rows)[0]
    distances: Tensor = (embedded - goal).square().mean((1, 2)).cpu()
    return distances
