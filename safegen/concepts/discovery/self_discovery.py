"""Self-discovery (Li et al., CVPR 2024, §3.1): the published objective.

Images of the concept are made by the model itself; the vector is what makes denoising them
*without* the concept in the text possible: min_c E ‖ε − ε_θ(x_t, t, y_neutral; h + c)‖².
"""

import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline

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


def self_discovery(
    pipeline: StableDiffusionPipeline, spec: ConceptSpec, budget: Budget, progress: Progress
) -> ConceptVector:
    """Learn `spec` from images the model makes of its target prompts (`avoid` is negative)."""
    pairs = choose_pairs(spec, budget.trajectories, budget.seed)
    _, _, clean = sample_trajectories(
        pipeline, [pair.target for pair in pairs], [pair.avoid for pair in pairs], budget
    )
    text = encode_text(pipeline, [pair.neutral for pair in pairs])
    noiser = DDPMScheduler.from_config(pipeline.scheduler.config)

    def batches(step: int) -> Batch:
        generator = torch.Generator().manual_seed(budget.seed * 1_000_003 + step)
        chosen = torch.randint(len(pairs), (budget.batch,), generator=generator)
        timesteps = torch.randint(
            noiser.config.num_train_timesteps, (budget.batch,), generator=generator
        ).to(clean.device)
        noise = torch.randn(budget.batch, *clean.shape[1:], generator=generator).to(clean)
        noisy = noiser.add_noise(clean[chosen], noise, timesteps)
        return Batch(noisy, timesteps, text[chosen], noise)

    tensors = descend(pipeline, spec.sites, batches, budget, progress)
    return as_vector(pipeline, spec, budget, "self-discovery", tensors)
