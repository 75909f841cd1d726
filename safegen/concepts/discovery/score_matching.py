"""Score matching: the vector turns the score of neutral text into the guided score of the concept.

min_c E ‖ε_θ(x_t, t, y_neutral; h + c) − [ε_avoid + g·(ε_target − ε_avoid)]‖² on the model's own
trajectories (the idea of RespoDiff, NeurIPS 2025). No image set is needed, and there is no noise in
the target, so it takes far fewer steps than the published objective.
"""

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from safegen.concepts.discovery.finish import as_vector
from safegen.concepts.discovery.learn import (
    Batch,
    choose_pairs,
    descend,
    encode_text,
    sample_trajectories,
)
from safegen.concepts.discovery.spec import Budget, ConceptSpec, Progress
from safegen.concepts.vector import ConceptVector


def score_matching(
    pipeline: StableDiffusionPipeline, spec: ConceptSpec, budget: Budget, progress: Progress
) -> ConceptVector:
    """Learn `spec` on trajectories of its neutral prompts and of its targets, half and half.

    Steering starts on the first kind and ends near the second.
    """
    pairs = choose_pairs(spec, budget.trajectories, budget.seed)
    half = len(pairs) // 2
    prompts = [pair.neutral for pair in pairs[:half]] + [pair.target for pair in pairs[half:]]
    away = [""] * half + [pair.avoid for pair in pairs[half:]]
    states, timesteps, _ = sample_trajectories(pipeline, prompts, away, budget)
    neutral = encode_text(pipeline, [pair.neutral for pair in pairs])
    target = encode_text(pipeline, [pair.target for pair in pairs])
    avoid = encode_text(pipeline, [pair.avoid for pair in pairs])
    goals = _guided_scores(pipeline, states, timesteps, target, avoid, spec.guidance)

    def batches(step: int) -> Batch:
        generator = torch.Generator().manual_seed(budget.seed * 1_000_003 + step)
        phase = torch.randint(len(timesteps), (budget.batch,), generator=generator)
        chosen = torch.randint(len(pairs), (budget.batch,), generator=generator)
        return Batch(states[phase, chosen], timesteps[phase], neutral[chosen], goals[phase, chosen])

    tensors = descend(pipeline, spec.sites, batches, budget, progress)
    return as_vector(pipeline, spec, budget, "score-matching", tensors)


@torch.no_grad()
def _guided_scores(
    pipeline: StableDiffusionPipeline,
    states: Tensor,
    timesteps: Tensor,
    target: Tensor,
    avoid: Tensor,
    guidance: float,
) -> Tensor:
    """ε_avoid + guidance·(ε_target − ε_avoid) at every state, shape of `states`."""
    goals = []
    text = torch.cat([avoid, target])
    for latents, timestep in zip(states, timesteps, strict=True):
        away, towards = pipeline.unet(torch.cat([latents] * 2), timestep, text).sample.chunk(2)
        goals.append(away + guidance * (towards - away))
    return torch.stack(goals)
