"""Adapter for sampling loops of your own: a context manager, or a hook-free way."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safegen.concepts.vector import ConceptVector
from safegen.errors import SteeringError
from safegen.nouns import Intervention
from safegen.steering.add import phase
from safegen.steering.gate import fitted
from safegen.steering.hook import Steering
from safegen.steering.layout import GUIDED, Rows, demand_rows
from safegen.steering.plan import (
    PHASES,
    Plan,
    demand_width,
    planned,
    pools,
    relative_gram,
    stacked,
)
from safegen.steering.site import MID_BLOCK


@contextmanager
def steered(
    denoiser: Any,
    vectors: Mapping[str, ConceptVector],
    samples: Sequence[Sequence[Intervention]] | Plan,
    *calls: tuple[Rows, ...],
    timesteps: float = 1000,
) -> Iterator[Steering]:
    """Steer every call of `denoiser` within the block; nothing is left of it afterwards.

    Args:
        denoiser: a torch module that is called as `denoiser(sample, timestep, …)`; k-diffusion's
            wrappers call it so.
        vectors: the concepts that `samples` name.
        samples: the interventions of each sample of the batch, or a plan of them.
        calls: the layout of each call that makes up one step; see `Steering.using`.
        timesteps: the timestep of pure noise, as the denoiser is given it.

    Raises:
        InputError: `samples` are neither.
        SteeringError: a site is missing, or an addition did not take effect at every call.
    """
    with (
        Steering(denoiser, vectors, timesteps=timesteps) as steering,
        steering.using(planned(samples), *calls),
    ):
        yield steering


@contextmanager
def residuals(
    unet: Any,
    vectors: Mapping[str, ConceptVector],
    samples: Sequence[Sequence[Intervention]] | Plan,
    layout: tuple[Rows, ...] = GUIDED,
) -> Iterator[Callable[[float, Tensor], dict[str, Tensor | tuple[Tensor, ...]]]]:
    """A function (timestep, latents) -> arguments of a diffusers UNet that add the same, no hook.

    Put the block around the loop, and call the function at every step:
    `unet(x, t, text, **add(t, x))`, with `t` in [0, 1000] and `x` [rows, 4, h, w], which decides
    size, dtype and device. The arguments are ControlNet's. diffusers adds the mid block's residual
    only where residuals of the down blocks are given too, so those come along as zeros.

    Args:
        unet: the `UNet2DConditionModel` that will be called.
        vectors: of the mid block alone.
        samples: the interventions of each sample, or a plan of them; none of them gated.
        layout: what each run of len(samples) rows is.

    Raises:
        InputError: `samples` are neither.
        SteeringError: a vector acts elsewhere too, an intervention has a gate, or, at the end of
            the block, had no strength at any step; by the function, where the latents have other
            rows than `layout` times `samples`, or the timestep tells no window how far the
            denoising is. Whether the UNet was given what it makes, nothing tells.
        UnknownConceptError: `samples` name a concept that is not among `vectors`.
        ConceptError: a vector is of another width than the mid block.
    """
    if elsewhere := {site for v in vectors.values() for site in v.arrays} - {MID_BLOCK}:
        raise SteeringError(
            f"residuals reach {MID_BLOCK} alone, the vectors act at {sorted(elsewhere)} too",
            "use steered(), or vectors of the mid block",
        )
    plan = planned(samples)
    if any(each.gate != "open" for sample in plan.samples for each in sample):
        raise SteeringError("a residual cannot be gated", "use steered(), or an open gate")
    demand_rows(layout)
    plan.demand_known(vectors)
    demand_width(MID_BLOCK, vectors, unet.config.block_out_channels[-1])
    if plan.idle:
        yield lambda timestep, latents: {}
        return
    gram = relative_gram(MID_BLOCK, vectors)
    table = torch.from_numpy(plan.coefficients(MID_BLOCK, vectors, gram))
    maps = torch.from_numpy(stacked(MID_BLOCK, vectors))
    pooled = pools(MID_BLOCK, vectors)
    down = 2 ** (len(unet.config.down_block_types) - 1)
    count = 1 + sum(len(b.resnets) + len(b.downsamplers or ()) for b in unet.down_blocks)
    reached = np.zeros(PHASES, bool)

    def add(timestep: float, latents: Tensor) -> dict[str, Tensor | tuple[Tensor, ...]]:
        if plan.timed and not 0 <= float(timestep) <= 1000:
            raise SteeringError(
                f"expected a timestep from 1000 to 0, got {float(timestep):g}",
                "give the UNet's timestep, or steer over the whole denoising, constantly",
            )
        if len(latents) != (rows := len(layout) * len(plan.samples)):
            raise SteeringError(
                f"expected latents of {rows} rows, one of each sample in each of {layout}, got "
                f"{len(latents)}",
                "give the layout and the samples of the batch that the UNet is called with",
            )
        now = int(phase(torch.tensor(float(timestep)), 1000))
        reached[now] = True
        size = torch.Size(math.ceil(side / down) for side in latents.shape[-2:])
        delta = torch.einsum("bk,kchw->bchw", table[now], fitted(maps, size, pooled=pooled))
        steered_rows = [plan.every_row or kind == "cond" for kind in layout]
        parts = [delta if steers else torch.zeros_like(delta) for steers in steered_rows]
        zeros = tuple(torch.zeros(()).to(latents) for _ in range(count))
        return {
            "mid_block_additional_residual": torch.cat(parts).to(latents),
            "down_block_additional_residuals": zeros,
        }

    yield add
    plan.demand_strength(reached)
