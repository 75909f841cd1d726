"""Score matching: the vector turns the score of neutral text into the guided score of the concept.

    min_c E ‖ε_θ(x_t, t, y_neutral; h + c) − [ε_avoid + g·(ε_target − ε_avoid)]‖²
        + λ E ‖ε_θ(x_t, t, y_kept; h + c) − ε_θ(x_t, t, y_kept)‖²

on the model's own trajectories (the idea of RespoDiff, NeurIPS 2025). No image set is needed, and
there is no noise in the goal, so it takes far fewer steps than the published objective. The second
term, faithfulness, keeps what has nothing to do with the concept, and what shows it already.

Most goals come free: sampling a trajectory has computed what its own text and its negative predict.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from safegen.concepts.discovery.learn import Learned, Pool, descend, draws
from safegen.concepts.discovery.spec import Budget, ConceptSpec, PromptPair
from safegen.concepts.discovery.trajectories import (
    Trajectories,
    choose_pairs,
    precision,
    sample_trajectories,
)
from safegen.concepts.discovery.work import Workbench

_UNRELATED = 8


def score_matching(bench: Workbench, spec: ConceptSpec, budget: Budget) -> Learned:
    """Learn `spec` on trajectories of its neutral prompts and of its targets, half and half.

    Steering starts on the first kind and ends near the second.
    """
    half = budget.trajectories // 2
    # Other pairs at the end than at the start: the more of them, the better for what is held out.
    pairs = choose_pairs(spec, 2 * half, budget.seed)
    first, last = pairs[:half], pairs[half:]
    neutral = [pair.neutral for pair in first]
    target = [pair.target for pair in last]
    start = sample_trajectories(bench, neutral, [""] * half, spec.sites, budget)
    end = sample_trajectories(bench, target, [pair.avoid for pair in last], spec.sites, budget)
    goals, forwards = _goals(bench, start, first, spec, budget)
    reached = end.against + spec.guidance * (end.towards - end.against)
    parts = [
        _pool(start, neutral, goals, 1.0),
        _pool(end, [pair.neutral for pair in last], reached, 1.0),
    ]
    forwards += start.forwards + end.forwards
    if budget.faithfulness:
        if all(pair.neutral != pair.target for pair in pairs):
            parts.append(_pool(end, target, end.towards, budget.faithfulness))
        if spec.unrelated:
            kept = [spec.unrelated[i % len(spec.unrelated)] for i in range(_UNRELATED)]
            other = sample_trajectories(bench, kept, [""] * len(kept), spec.sites, budget)
            parts.append(_pool(other, kept, other.towards, budget.faithfulness))
            forwards += other.forwards
    pool = Pool.of(parts)
    learned = descend(
        bench,
        bench.name("score-matching", spec, budget),
        spec.sites,
        draws(bench, pool, budget),
        [pool.batch(bench, rows) for rows in torch.split(pool.held_out, 32)],
        budget,
        pool,
    )
    learned.forwards += forwards
    return learned


def _pool(made: Trajectories, text: Sequence[str], goals: Tensor, weight: float) -> Pool:
    """Every state of `made` with the text to predict from and the goal [S, N, …] to reach."""
    steps, runs = made.states.shape[:2]
    return Pool(
        latents=made.states.flatten(0, 1),
        timesteps=made.timesteps.repeat_interleave(runs),
        text=tuple(text) * steps,
        goals=goals.flatten(0, 1),
        weights=torch.full((steps * runs,), weight, device=goals.device),
        runs=torch.arange(runs).repeat(steps),
    )


def _goals(
    bench: Workbench,
    made: Trajectories,
    pairs: Sequence[PromptPair],
    spec: ConceptSpec,
    budget: Budget,
) -> tuple[Tensor, float]:
    """ε_avoid + guidance·(ε_target − ε_avoid) at the states of neutral runs, and its cost.

    Those runs were guided away from the empty text, which need not be asked again.
    """
    avoid = [pair.avoid for pair in pairs]
    asked = [[pair.target for pair in pairs]] + ([avoid] if any(avoid) else [])
    name = bench.name("goals", asked, spec.pairs, budget)
    kept = bench.piece(name, lambda: _predicted(bench, made, asked, budget), remember=False)
    towards = kept["predicted"][:, 0].to(bench.device)
    away = kept["predicted"][:, 1].to(bench.device) if any(avoid) else made.against
    return away + spec.guidance * (towards - away), float(kept["predicted"].shape[:3].numel())


@torch.no_grad()
def _predicted(
    bench: Workbench, made: Trajectories, texts: Sequence[Sequence[str]], budget: Budget
) -> dict[str, Tensor]:
    """What each of `texts` predicts at every state: [S, T, N, 4, h, w]."""
    text = torch.cat([bench.text(each) for each in texts])
    rows = []
    for number, (latents, timestep) in enumerate(zip(made.states, made.timesteps, strict=True)):
        bench.progress(number, len(made.timesteps), "asking for the scores to reach")
        with precision(bench, budget):
            predicted = bench.pipeline.unet(
                torch.cat([latents] * len(texts)), timestep, text
            ).sample
        rows.append(torch.stack(predicted.float().cpu().chunk(len(texts))))
    return {"predicted": torch.stack(rows)}
