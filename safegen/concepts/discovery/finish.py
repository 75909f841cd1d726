"""From learned tensors to a vector: its passport, and where activations lie along it.

The levels are what a projection gate goes by; the typical activation norm is the unit of relative
strengths and of the norm cap.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.nn import functional

from safegen.concepts.digest import model_digest
from safegen.concepts.discovery.learn import choose_pairs, encode_text, sample_trajectories
from safegen.concepts.discovery.spec import Budget, ConceptSpec
from safegen.concepts.vector import ConceptVector, Levels, Passport
from safegen.steering.site import find_site, main_output

_SAMPLES = 16


@torch.no_grad()
def measure_levels(
    pipeline: StableDiffusionPipeline,
    spec: ConceptSpec,
    tensors: Mapping[str, Tensor],
    budget: Budget,
) -> tuple[dict[str, Levels], dict[str, float]]:
    """Levels and typical activation norms at every site, on the model's own trajectories.

    "Before" are samples of what the concept leads away from (the prompts to avoid, or the neutral
    ones), "after" samples of the target prompts.
    """
    pairs = choose_pairs(spec, _SAMPLES, budget.seed)
    neutral = [pair.avoid or pair.neutral for pair in pairs]
    seen_before = _activations(pipeline, neutral, [""] * len(pairs), tensors, budget)
    seen_after = _activations(
        pipeline, [pair.target for pair in pairs], [pair.avoid for pair in pairs], tensors, budget
    )
    levels, norms = {}, {}
    for site, vector in tensors.items():
        unit = functional.normalize(vector, dim=0)
        before, after = (
            torch.einsum("sbchw,chw->sbhw", seen, unit).mean(1).numpy()
            for seen in (seen_before[site], seen_after[site])
        )
        levels[site] = Levels(before, after)
        norms[site] = seen_before[site].square().sum(2).mean().sqrt().item()
    return levels, norms


def _activations(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    away: Sequence[str],
    tensors: Mapping[str, Tensor],
    budget: Budget,
) -> dict[str, Tensor]:
    """What each site puts out for `prompts` along their trajectories: [S, B, C, H, W], on CPU."""
    states, timesteps, _ = sample_trajectories(pipeline, prompts, away, budget)
    text = encode_text(pipeline, prompts)
    seen: dict[str, list[Tensor]] = {site: [] for site in tensors}
    handles = [
        find_site(pipeline.unet, site).register_forward_hook(
            lambda _, __, output, site=site: seen[site].append(
                main_output(output, site).float().cpu()
            )
        )
        for site in tensors
    ]
    try:
        for latents, timestep in zip(states, timesteps, strict=True):
            pipeline.unet(latents, timestep, text)
    finally:
        for handle in handles:
            handle.remove()
    return {site: torch.stack(outputs) for site, outputs in seen.items()}


def as_vector(
    pipeline: StableDiffusionPipeline,
    spec: ConceptSpec,
    budget: Budget,
    method: Literal["self-discovery", "score-matching", "contrast"],
    tensors: dict[str, Tensor],
) -> ConceptVector:
    """The learned tensors with their passport, and their levels measured."""
    levels, norms = measure_levels(pipeline, spec, tensors, budget)
    passport = Passport(
        concept=spec.name,
        model_family=type(pipeline.unet).__name__,
        model_digest=model_digest(pipeline.unet),
        site_shapes={site: tuple(tensor.shape) for site, tensor in tensors.items()},
        method=method,
        settings={"guidance": spec.guidance, **budget.model_dump(exclude={"seed"})},
        seed=budget.seed,
        prompts=spec.prompts(),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        activation_norms=norms,
    )
    arrays = {site: tensor.numpy() for site, tensor in tensors.items()}
    return ConceptVector(passport, arrays, levels)
