"""The model's own data: denoising runs, with what the sites and the scores were on the way."""

import inspect
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from safegen.concepts.discovery.spec import SEED_BLOCK, Budget, ConceptSpec, PromptPair
from safegen.concepts.discovery.work import Workbench
from safegen.steering.site import changed

CHUNK = 16  # trajectories between two saves


@dataclass(frozen=True)
class Trajectories:
    """N denoising runs of S steps.

    `states` are the UNet's inputs [S, N, 4, h, w], `towards` and `against` what it predicted for
    the prompt and for what it is guided away from, `clean` the latents at the end [N, 4, h, w].
    `means` holds per site the conditional activations' mean [2, S, C, H, W], over the runs with an
    even number and over those with an odd one; `norms` their L2 norm at a position, RMS.
    Unless recorded, only `clean` is there.
    """

    clean: Tensor
    timesteps: Tensor
    states: Tensor
    towards: Tensor
    against: Tensor
    means: dict[str, Tensor]
    norms: dict[str, float]
    forwards: float


def choose_pairs(spec: ConceptSpec, count: int, seed: int) -> list[PromptPair]:
    """`count` pairs of `spec`, evenly used, shuffled by `seed` alone.

    Concepts whose pairs are declared alike get them in the same order, and so share their neutral
    trajectories.
    """
    order = list(spec.pairs)
    random.Random(seed).shuffle(order)
    return [order[i % len(order)] for i in range(count)]


def sample_trajectories(
    bench: Workbench,
    prompts: Sequence[str],
    away: Sequence[str],
    sites: Sequence[str],
    budget: Budget,
    *,
    record: bool = True,
) -> Trajectories:
    """Denoise `prompts` with classifier-free guidance against `away`; nothing is decoded.

    What a run is depends on its prompts, its number and the budget alone.
    """
    chunks = []
    for start in range(0, len(prompts), CHUNK):
        part = slice(start, start + CHUNK)
        settings = (budget.sampling_steps, budget.guidance_scale, budget.seed)
        name = bench.name(
            "runs", start, prompts[part], away[part], sorted(sites) if record else (), settings
        )
        bench.progress(start, len(prompts), "sampling the model's own data")
        chunks.append(
            bench.piece(
                name,
                lambda part=part, start=start: _sample(  # type: ignore[misc]
                    bench, prompts[part], away[part], sites if record else (), budget, start
                ),
            )
        )
    rows = {key: torch.cat([chunk[key] for chunk in chunks], 1) for key in _PER_STEP}
    counts = torch.stack([chunk["counts"] for chunk in chunks]).sum(0).clamp(min=1)
    shape = (2, 1, 1, 1, 1)
    sums = {site: sum(chunk["sums"][site] for chunk in chunks) for site in chunks[0]["sums"]}
    squares = {site: sum(chunk["squares"][site] for chunk in chunks) for site in sums}
    forwards = sum(chunk["forwards"] for chunk in chunks)
    return Trajectories(
        clean=torch.cat([chunk["clean"] for chunk in chunks]).to(bench.device),
        timesteps=chunks[0]["timesteps"].to(bench.device),
        **{key: value.to(bench.device) for key, value in rows.items()},
        means={site: total / counts.reshape(shape) for site, total in sums.items()},
        norms={site: (total / len(prompts)) ** 0.5 for site, total in squares.items()},
        forwards=forwards,
    )


_PER_STEP = ("states", "towards", "against")


@torch.no_grad()
def _sample(
    bench: Workbench,
    prompts: Sequence[str],
    away: Sequence[str],
    sites: Sequence[str],
    budget: Budget,
    start: int,
) -> dict[str, Any]:
    """One chunk of runs, from number `start` on, as it is kept."""
    unet, config = bench.pipeline.unet, bench.pipeline.scheduler.config
    scheduler = type(bench.pipeline.scheduler).from_config(config)
    scheduler.set_timesteps(budget.sampling_steps, device=bench.device)
    text = torch.cat([bench.text(away), bench.text(prompts)])
    shape = (1, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
    noises = [
        torch.Generator().manual_seed(budget.seed * SEED_BLOCK + start + i)
        for i in range(len(prompts))
    ]
    latents = torch.cat([torch.randn(shape, generator=noise) for noise in noises])
    latents = latents.to(bench.device, unet.dtype) * scheduler.init_noise_sigma
    random_steps = "generator" in inspect.signature(scheduler.step).parameters
    # Chunks start at even numbers, so a row's place says whether its run's number is even.
    even = torch.arange(len(prompts)) % 2 == 0
    kept: dict[str, list[Tensor]] = {key: [] for key in _PER_STEP}
    seen: dict[str, list[Tensor]] = {site: [] for site in sites}

    def record(site: str, hidden: Tensor) -> Tensor:
        seen[site].append(hidden[-len(prompts) :].float().cpu())  # the conditional rows
        return hidden

    with changed(unet, seen, record):
        for timestep in scheduler.timesteps:
            scaled = scheduler.scale_model_input(latents, timestep)
            with _bfloat16(bench, wanted=True):
                predicted = unet(torch.cat([scaled] * 2), timestep, text).sample
            against, towards = predicted.float().chunk(2)
            if sites:
                for key, value in zip(_PER_STEP, (scaled, towards, against), strict=True):
                    kept[key].append(value.cpu())
            guided = against + budget.guidance_scale * (towards - against)
            extra = {"generator": noises[0]} if random_steps else {}
            latents = scheduler.step(
                guided.to(latents.dtype), timestep, latents, **extra
            ).prev_sample
    empty = torch.zeros(0, len(prompts))
    hidden = {site: torch.stack(outputs) for site, outputs in seen.items()}  # [S, N, C, H, W]
    return {
        "clean": latents.float().cpu(),
        "timesteps": scheduler.timesteps.cpu(),
        **{key: torch.stack(values) if values else empty for key, values in kept.items()},
        "sums": {
            site: torch.stack([maps[:, even].sum(1), maps[:, ~even].sum(1)])
            for site, maps in hidden.items()
        },
        "squares": {
            site: maps.square().sum(2).mean((0, 2, 3)).sum().item() for site, maps in hidden.items()
        },
        "counts": torch.stack([even.sum(), (~even).sum()]),
        "forwards": 2.0 * len(prompts) * len(scheduler.timesteps),
    }


def precision(bench: Workbench, budget: Budget) -> torch.autocast:
    """Mixed precision, where the budget says so."""
    return _bfloat16(bench, wanted=budget.precision == "mixed")


def has_bfloat16(device: torch.device) -> bool:
    """Whether to calculate in bfloat16: a CPU without AVX-512 emulates it, 15 times slower."""
    return device.type != "cpu" or "AVX512" in torch.backends.cpu.get_cpu_capability()


def _bfloat16(bench: Workbench, *, wanted: bool) -> torch.autocast:
    enabled = wanted and has_bfloat16(bench.device)
    return torch.autocast(bench.device.type, torch.bfloat16, enabled=enabled)
