"""Peers that change the model's weights: UCE and ESD-x, from their papers, on a copy of the UNet.

Both erase what a few prompts name. UCE (Gandikota et al., WACV 2024) solves for new key and value
projections of the cross-attention in closed form; ESD-x (Gandikota et al., ICCV 2023) fine-tunes
the cross-attention so that ε(x_t, c) becomes ε*(x_t, ∅) − η·(ε*(x_t, c) − ε*(x_t, ∅)).
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from safegen.nouns import Frozen


def with_unet(pipeline: Any, unet: nn.Module) -> Any:
    """A pipeline of the same class and parts with another UNet."""
    made = type(pipeline)(**pipeline.components | {"unet": unet}, requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made


@torch.no_grad()
def uce(
    pipeline: Any,
    erase: Sequence[str],
    preserve: Sequence[str],
    *,
    even: Sequence[tuple[str, Sequence[str]]] = (),
    weight: float = 0.1,
) -> Any:
    """Edit W_k and W_v so that `erase` reads as nothing and `preserve` as before.

    W' = (Σ_i v_i c_iᵀ + λ·W·Σ_j p_j p_jᵀ + λ·W)(Σ_i c_i c_iᵀ + λ·Σ_j p_j p_jᵀ + λ·I)⁻¹

    Args:
        pipeline: of the Stable Diffusion kind; it stays as it is.
        erase: texts whose projections become those of the empty text.
        preserve: texts whose projections stay.
        even: texts whose projections become the mean of those of others, such as an occupation and
            its genders; the paper reweights the mean by looking at images, this does not.
        weight: λ, of what is preserved.

    Returns:
        A pipeline with the edited UNet.
    """
    unet = copy.deepcopy(pipeline.unet)
    nothing = _texts(pipeline, [""])[0]
    keys = [_texts(pipeline, [text])[0] for text in erase]
    goals = [nothing for _ in erase]
    for text, others in even:
        keys.append(_texts(pipeline, [text])[0])
        goals.append(_texts(pipeline, others).mean(0))
    kept = _texts(pipeline, preserve).flatten(0, 1) if preserve else keys[0][:0]
    seen, wanted = torch.cat(keys), torch.cat(goals)
    eye = torch.eye(seen.shape[1], device=seen.device)
    inverse = torch.linalg.inv(seen.T @ seen + weight * (kept.T @ kept) + weight * eye)
    for projection in _cross_projections(unet):
        old = projection.weight
        goal = (old @ wanted.T) @ seen + weight * old @ (kept.T @ kept) + weight * old
        projection.weight.copy_(goal @ inverse)
    return with_unet(pipeline, unet)


class EsdBudget(Frozen):
    """How long to fine-tune; by default as published."""

    iterations: int = Field(default=1000, ge=1)
    batch: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-5, gt=0)
    negative_guidance: float = 1.0
    sampling_steps: int = 50
    guidance_scale: float = 3.0
    seed: int = 0


def esd(
    pipeline: Any, erase: Sequence[str], budget: EsdBudget, progress: Callable[[int], None]
) -> Any:
    """Fine-tune the cross-attention of a copy of the UNet to lead away from `erase`.

    Returns:
        A pipeline with the tuned UNet.
    """
    frozen = pipeline.unet.requires_grad_(False)
    unet = copy.deepcopy(frozen)
    tuned = [p for name, p in unet.named_parameters() if "attn2" in name]
    for parameter in tuned:
        parameter.requires_grad_()
    optimizer = torch.optim.Adam(tuned, lr=budget.learning_rate)
    generator = torch.Generator().manual_seed(budget.seed)
    nothing = _texts(pipeline, [""] * budget.batch)
    for iteration in range(budget.iterations):
        chosen = torch.randint(len(erase), (budget.batch,), generator=generator)
        text = _texts(pipeline, [erase[i] for i in chosen])
        latents, timestep = _partly_denoised(pipeline, unet, text, nothing, budget, generator)
        with torch.no_grad():
            free, named = (frozen(latents, timestep, t).sample for t in (nothing, text))
            goal = free - budget.negative_guidance * (named - free)
        loss = functional.mse_loss(unet(latents, timestep, text).sample, goal)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        progress(iteration + 1)
    return with_unet(pipeline, unet.requires_grad_(False))


@torch.no_grad()
def _partly_denoised(
    pipeline: Any,
    unet: nn.Module,
    text: Tensor,
    nothing: Tensor,
    budget: EsdBudget,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Latents that the tuned model itself meets on its way to `text`, at one random timestep."""
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(budget.sampling_steps)
    stop = int(torch.randint(budget.sampling_steps, (1,), generator=generator))
    size = pipeline.unet.config.sample_size
    shape = (len(text), pipeline.unet.config.in_channels, size, size)
    latents = torch.randn(shape, generator=generator).to(text.device) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps[:stop]:
        scaled = scheduler.scale_model_input(torch.cat([latents] * 2), timestep)
        free, named = unet(scaled, timestep, torch.cat([nothing, text])).sample.chunk(2)
        noise = free + budget.guidance_scale * (named - free)
        latents = scheduler.step(noise, timestep, latents).prev_sample
    timestep = scheduler.timesteps[stop]
    return scheduler.scale_model_input(latents, timestep), timestep


def _cross_projections(unet: nn.Module) -> list[nn.Linear]:
    return [
        module
        for name, module in unet.named_modules()
        if name.endswith(("attn2.to_k", "attn2.to_v")) and isinstance(module, nn.Linear)
    ]


def _texts(pipeline: Any, prompts: Sequence[str]) -> Tensor:
    """Text embeddings [B, L, D], as at inference."""
    embedded: Tensor = pipeline.encode_prompt(list(prompts), pipeline.device, 1, False)[0]
    return embedded
