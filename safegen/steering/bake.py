"""Fold an always-on steering into the weights, for export to a runtime without hooks.

A pooled vector at the UNet's mid block is a constant per channel, added to what the block's last
residual layer puts out. Adding it to that layer's last bias is the same computation, up to rounding
(tested to 1e-5 in float32).
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from safegen.concepts.vector import ConceptVector
from safegen.errors import SteeringError
from safegen.nouns import Intervention
from safegen.steering.plan import Plan, demand_width, relative_gram
from safegen.steering.site import MID_BLOCK


@torch.no_grad()
def bake(
    unet: UNet2DConditionModel,
    interventions: Sequence[Intervention],
    vectors: Mapping[str, ConceptVector],
) -> None:
    """Change `unet` in place so that it always adds `interventions`, to every row.

    Under classifier-free guidance the unconditional rows are steered too, as with `every_row`: a
    bias cannot tell them apart.

    Args:
        unet: a UNet with a mid block; its last bias is changed.
        interventions: constant over the whole denoising and without a gate.
        vectors: of shape [C], at the mid block alone.

    Raises:
        SteeringError: it cannot be folded in exactly; the message says why.
        UnknownConceptError: `interventions` name a concept that is not among `vectors`.
        ConceptError: a vector is of another width than the mid block.
    """
    plan = Plan.of([interventions])
    plan.demand_known(vectors)
    if plan.idle:
        return
    used = {name: vectors[name] for name in dict.fromkeys(i.concept for i in interventions)}
    for each in interventions:
        if (each.start, each.stop, each.schedule, each.gate) != (0, 1, "constant", "open"):
            _refuse(f"{each.concept!r} acts in a window, on a schedule or behind a gate")
    for name, vector in used.items():
        if set(vector.arrays) != {MID_BLOCK}:
            _refuse(
                f"{name!r} acts at {', '.join(sorted(vector.arrays))}, not at {MID_BLOCK} alone"
            )
        if vector.arrays[MID_BLOCK].size != len(vector.arrays[MID_BLOCK]):
            _refuse(f"{name!r} differs between positions: {vector.arrays[MID_BLOCK].shape}")
    last = unet.mid_block.resnets[-1]
    if isinstance(getattr(last.conv2, "base_layer", None), nn.Module):  # as peft wraps layers
        _refuse(
            "an adapter (LoRA) sits on the mid block's last layer",
            "fuse the adapter into the weights, or unload it, and bake then",
        )
    if last.conv2.bias is None or not isinstance(last.conv2, nn.Conv2d):
        _refuse("the mid block's last layer has no bias")
    demand_width(MID_BLOCK, used, last.conv2.out_channels)
    strengths = plan.coefficients(MID_BLOCK, used, relative_gram(MID_BLOCK, used))[0, 0]
    total = sum(
        strength * vector.arrays[MID_BLOCK].ravel()
        for strength, vector in zip(strengths, used.values(), strict=True)
    )
    # The layer puts out (input + conv2(…)) / output_scale_factor.
    added = torch.from_numpy(np.asarray(total, np.float32)) * last.output_scale_factor
    last.conv2.bias.add_(added.to(last.conv2.bias))


def _refuse(
    why: str,
    mend: str = "keep the hook, or bake constant, ungated, pooled vectors of the mid block",
) -> NoReturn:
    raise SteeringError(f"this steering cannot be folded into the weights: {why}", mend)
