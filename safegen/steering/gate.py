"""The projection gate: push only as far as the sample is from where the concept leads.

A constant push also moves images that need none (facts of the field: CASteer, 2025, found it to
cost image quality). The gate looks at the sample's own activation h at each position p, along the
vector's direction u_p, between the levels measured when the vector was learned:

    g_p = clip((after_p - ⟨h_p, u_p⟩) / (after_p - before_p), 0, 1)

0 where the sample already is where the concept leads (nothing is added), 1 where it is as far away
as samples without it typically are (everything is added). A negative strength turns away from the
concept and leads to where samples without it are; there the gate measures the other way:

    g_p = clip((⟨h_p, u_p⟩ - before_p) / (after_p - before_p), 0, 1)

All of it is calculated in float32: half precision has no small numbers to divide by.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from safegen.concepts.vector import ConceptVector
from safegen.steering.plan import PHASES


@dataclass
class Gates:
    """Directions of length 1 [K, C, H, W] and levels [S, K, H, W] of every vector at one site."""

    units: Tensor
    before: Tensor
    after: Tensor

    @classmethod
    def of(cls, site: str, vectors: Mapping[str, ConceptVector], maps: Tensor) -> "Gates | None":
        """The gates of `vectors` at `site`; None if no vector has its levels measured.

        `maps` are the vectors there, [K, C, H, W].
        """
        here = {n: v.levels[site] for n, v in vectors.items() if site in v.levels}
        if not here:
            return None
        shape = maps.shape[-2:]
        phases = max(len(levels.after) for levels in here.values())
        # A vector without levels is never gated; its distance of 1 only keeps the division whole.
        before = torch.zeros(phases, len(vectors), *shape)
        after = torch.ones(phases, len(vectors), *shape)
        for k, name in enumerate(vectors):
            if name in here:
                for target, levels in ((before, here[name].before), (after, here[name].after)):
                    rows = np.linspace(0, len(levels) - 1, phases).round().astype(int)
                    target[:, k] = torch.from_numpy(
                        np.array(np.broadcast_to(levels[rows], (phases, *shape)))
                    )
        return cls(functional.normalize(maps, dim=1), before, after)

    def to(self, like: Tensor) -> "Gates":
        """On the device of `like`, in float32 whatever its dtype."""
        return Gates(*(t.to(like.device) for t in (self.units, self.before, self.after)))

    def __call__(self, hidden: Tensor, phase: Tensor, away: Tensor) -> Tensor:
        """The gates [R, K, H, W] in [0, 1], float32.

        Args:
            hidden: activations [R, C, H, W].
            phase: at which the denoising is, as an index below PHASES, [1].
            away: whether a row is led away from a concept, [R, K].
        """
        size = hidden.shape[-2:]
        units = functional.normalize(fitted(self.units, size), dim=1)
        index = phase * len(self.after) // PHASES
        before, after = (
            fitted(levels.index_select(0, index)[0], size) for levels in (self.before, self.after)
        )
        projected = torch.einsum("rchw,kchw->rkhw", hidden.float(), units)
        left = torch.where(away[..., None, None], projected - before, after - projected)
        # Where the levels hardly differ, a position says nothing: the vector's mean distance
        # keeps it from swinging the gate.
        distance = after - before
        least = distance.mean((-2, -1), keepdim=True).clamp(min=1e-4) / 4
        return (left / torch.maximum(distance, least)).clamp(0, 1)


def fitted(maps: Tensor, size: torch.Size, *, pooled: bool = False) -> Tensor:
    """Maps [..., h, w] at another latent size: interpolated, or with `pooled` their mean.

    Those that are pooled already stay as they are.
    """
    if maps.shape[-2:] in ((1, 1), tuple(size)):
        return maps
    if pooled:
        return maps.mean((-2, -1), keepdim=True)
    flat = maps if maps.ndim == 4 else maps[None]
    resized = functional.interpolate(flat, tuple(size), mode="bilinear", align_corners=False)
    return resized if maps.ndim == 4 else resized[0]
