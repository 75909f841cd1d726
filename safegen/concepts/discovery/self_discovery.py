"""Self-discovery (Li et al., CVPR 2024, §3.1): the published objective.

Images of the concept are made by the model itself; the vector is what makes denoising them
*without* the concept in the text possible: min_c E ‖ε − ε_θ(x_t, t, y_neutral; h + c)‖², in the
conditional pass alone. Images stay latents.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from safegen.concepts.discovery.learn import Batch, Learned, Pool, descend, draws
from safegen.concepts.discovery.noising import noised
from safegen.concepts.discovery.spec import SEED_BLOCK, Budget, ConceptSpec
from safegen.concepts.discovery.trajectories import choose_pairs, sample_trajectories
from safegen.concepts.discovery.work import Workbench

_MEASURED = 64  # states that say whether anything was learned, where all draws are new


def self_discovery(bench: Workbench, spec: ConceptSpec, budget: Budget) -> Learned:
    """Learn `spec` from images the model makes of its target prompts (`avoid` is negative)."""
    pairs = choose_pairs(spec, budget.trajectories, budget.seed)
    made = sample_trajectories(
        bench, [p.target for p in pairs], [p.avoid for p in pairs], (), budget, record=False
    )
    texts = [pair.neutral for pair in pairs]
    name = bench.name("self-discovery", spec.pairs, spec.sites, budget)
    if budget.states:
        pool = _noised(bench, made.clean, texts, budget.states, budget.seed)
        held_out = [pool.batch(bench, pool.held_out)]
        draw = draws(bench, pool, budget)
        learned = descend(bench, name, spec.sites, draw, held_out, budget, pool)
    else:

        def fresh(step: int) -> Batch:
            seed = budget.seed * SEED_BLOCK + step
            return _every(bench, _noised(bench, made.clean, texts, budget.batch, seed, pick=True))

        measure = _noised(bench, made.clean, texts, _MEASURED, budget.seed + 1)
        learned = descend(bench, name, spec.sites, fresh, [_every(bench, measure)], budget)
    learned.forwards += made.forwards
    return learned


def _every(bench: Workbench, pool: Pool) -> Batch:
    return pool.batch(bench, torch.arange(len(pool.goals)))


def _noised(
    bench: Workbench,
    clean: Tensor,
    texts: Sequence[str],
    count: int,
    seed: int,
    *,
    pick: bool = False,
) -> Pool:
    """`count` noised images at random timesteps: one after the other, or with `pick` any."""
    config = bench.pipeline.scheduler.config
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(count) % len(clean)
    if pick:
        rows = torch.randint(len(clean), (count,), generator=generator)
    timesteps = torch.randint(config.num_train_timesteps, (count,), generator=generator)
    noise = torch.randn(count, *clean.shape[1:], generator=generator).to(clean)
    timesteps = timesteps.to(clean.device)
    latents, goals = noised(config, clean[rows], noise, timesteps)
    return Pool(
        latents=latents,
        timesteps=timesteps,
        text=tuple(texts[int(row)] for row in rows),
        goals=goals,
        weights=torch.ones(count, device=clean.device),
        runs=rows,
    )
