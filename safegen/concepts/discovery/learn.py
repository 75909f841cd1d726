"""What the discovery methods share: the model's own data, and the descent on the vector."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from safegen.concepts.discovery.spec import Budget, ConceptSpec, Progress, PromptPair
from safegen.errors import ConceptError
from safegen.steering.site import find_site, main_output, with_main_output


@dataclass(frozen=True)
class Batch:
    """Noisy latents [B, 4, h, w], timesteps [B], neutral text [B, L, D], the ε to reach."""

    latents: Tensor
    timesteps: Tensor
    text: Tensor
    target: Tensor


@torch.no_grad()
def encode_text(pipeline: StableDiffusionPipeline, prompts: Sequence[str]) -> Tensor:
    """Text embeddings [B, L, D], padded as at inference; equal prompts are encoded once."""
    unique = list(dict.fromkeys(prompts))
    tokens = pipeline.tokenizer(
        unique,
        padding="max_length",
        max_length=pipeline.tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids.to(pipeline.device)
    embedded: Tensor = pipeline.text_encoder(tokens)[0]
    return embedded[[unique.index(prompt) for prompt in prompts]]


def choose_pairs(spec: ConceptSpec, count: int, seed: int) -> list[PromptPair]:
    """`count` pairs of `spec`, evenly used, shuffled by `seed`."""
    rng = random.Random(f"{spec.name}/{seed}")
    order = list(spec.pairs)
    rng.shuffle(order)
    return [order[i % len(order)] for i in range(count)]


@torch.no_grad()
def sample_trajectories(
    pipeline: StableDiffusionPipeline, prompts: Sequence[str], away: Sequence[str], budget: Budget
) -> tuple[Tensor, Tensor, Tensor]:
    """Sample latents of `prompts` with classifier-free guidance against `away`.

    Returns:
        The noisy latents met on the way [S, B, 4, h, w], their timesteps [S], and the clean
        latents [B, 4, h, w]; nothing is decoded.
    """
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(budget.sampling_steps, device=pipeline.device)
    text = torch.cat([encode_text(pipeline, away), encode_text(pipeline, prompts)])
    size = pipeline.unet.config.sample_size
    generator = torch.Generator().manual_seed(budget.seed)
    latents = torch.randn(
        len(prompts), pipeline.unet.config.in_channels, size, size, generator=generator
    ).to(pipeline.device, pipeline.unet.dtype)
    latents = latents * scheduler.init_noise_sigma
    states = []
    for timestep in scheduler.timesteps:
        states.append(latents)
        scaled = scheduler.scale_model_input(torch.cat([latents] * 2), timestep)
        with torch.autocast(pipeline.device.type, torch.bfloat16):
            predicted = pipeline.unet(scaled, timestep, text).sample
        against, towards = predicted.float().chunk(2)
        noise = against + budget.guidance_scale * (towards - against)
        latents = scheduler.step(noise, timestep, latents).prev_sample
    return torch.stack(states), scheduler.timesteps, latents


def descend(
    pipeline: StableDiffusionPipeline,
    sites: Sequence[str],
    batches: Callable[[int], Batch],
    budget: Budget,
    progress: Progress,
) -> dict[str, Tensor]:
    """Learn one vector per site so that ε(latents, text; + vectors) meets the target.

    The vectors start at zero. Their learning rate is relative to the typical size of the site's
    activation, so one setting serves any model. Nothing before the first site is differentiated,
    since only the vectors ask for gradients.

    Raises:
        ConceptError: the loss is not finite.
    """
    unet = pipeline.unet.requires_grad_(False).eval()
    vectors: dict[str, nn.Parameter] = {}
    handles = []
    scales: dict[str, float] = {}

    def adder(site: str) -> Callable[[nn.Module, object, object], object]:
        def add(_: nn.Module, __: object, output: object) -> object:
            hidden = main_output(output, site)
            if site not in vectors:
                scales[site] = hidden.float().std().item()
                zeros = torch.zeros(hidden.shape[1:], device=hidden.device)
                vectors[site] = nn.Parameter(zeros)
            steered = hidden + (vectors[site] * scales[site]).to(hidden.dtype)
            return with_main_output(output, site, steered)

        return add

    handles = [find_site(unet, site).register_forward_hook(adder(site)) for site in sites]
    try:
        first = batches(0)
        with torch.no_grad():
            unet(first.latents, first.timesteps, first.text)
        # On a CPU the fused attention's backward takes several times as long as the plain one's.
        kernels = [SDPBackend.MATH]
        if pipeline.device.type != "cpu":
            kernels += [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
        optimizer = torch.optim.Adam(vectors.values(), lr=budget.learning_rate)
        for step in range(budget.steps):
            batch = batches(step)
            with torch.autocast(pipeline.device.type, torch.bfloat16), sdpa_kernel(kernels):
                predicted = unet(batch.latents, batch.timesteps, batch.text).sample
            loss = functional.mse_loss(predicted.float(), batch.target)
            if not loss.isfinite():
                raise ConceptError(
                    f"the loss became {loss.item()} at step {step + 1}",
                    "learn with a smaller learning rate",
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            for group in optimizer.param_groups:
                group["lr"] = budget.learning_rate * (1 - (step + 1) / budget.steps) ** 0.5
            progress(step + 1, budget.steps, f"loss {loss.item():.4f}")
    finally:
        for handle in handles:
            handle.remove()
    return {site: (vector.detach() * scales[site]).cpu() for site, vector in vectors.items()}
