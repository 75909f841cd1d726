"""`Addition`: the sum at one site. The only code that changes an activation.

h ← h + Σ_k s_k(t)·g_k(h)·c_k
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from safegen.concepts.vector import ConceptVector
from safegen.steering.gate import Gates, fitted
from safegen.steering.plan import PHASES, pools, stacked


@dataclass(frozen=True)
class Addition:
    """The vectors [K, C, H, W] of one site, with their gates where these were measured."""

    vectors: Tensor
    pooled: bool
    gates: Gates | None

    @classmethod
    def of(cls, site: str, vectors: Mapping[str, ConceptVector]) -> "Addition":
        """That of `vectors` at `site`.

        Raises:
            ConceptError: they do not fit together.
        """
        maps = torch.from_numpy(stacked(site, vectors))
        return cls(maps, pools(site, vectors), Gates.of(site, vectors, maps))

    def to(self, like: Tensor) -> "Addition":
        """On the device and in the dtype of `like`."""
        gates = None if self.gates is None else self.gates.to(like)
        return replace(self, vectors=self.vectors.to(like.device, like.dtype), gates=gates)

    def __call__(
        self, hidden: Tensor, weights: Tensor, gated: Tensor | None, phase: Tensor
    ) -> Tensor:
        """`hidden` with the sum added; rows with nothing to add keep every bit.

        Args:
            hidden: activations [R, C, H, W], or [R, N, C] of a transformer.
            weights: s_k(t) of each row, [R, K].
            gated: 1 where a concept of a row is gated, else 0, [R, K]; None: nowhere.
            phase: at which the denoising is, as an index, [1].
        """
        rows = hidden.shape[0]
        tokens = hidden.ndim == 3  # a transformer's [R, N, C]: positions in one line
        maps = hidden.transpose(1, 2)[..., None] if tokens else hidden
        weights = weights.to(hidden.device)
        vectors = self.vectors.to(hidden.device, hidden.dtype)
        vectors = fitted(vectors, maps.shape[-2:], pooled=self.pooled)
        if self.gates is None or gated is None:
            shares = weights.to(hidden.dtype)
            delta = (shares @ vectors.flatten(1)).reshape(rows, *vectors.shape[1:])
        else:
            gates = self.gates.to(hidden)(maps, phase.to(hidden.device), weights < 0)
            # Not by multiplication: an open gate is 1 whatever is calculated of its vector.
            gates = torch.where(gated.to(hidden.device)[..., None, None] > 0, gates, 1.0)
            shares = (weights[..., None, None] * gates).to(hidden.dtype)
            delta = torch.einsum("rkhw,kchw->rchw", shares, vectors)
        changed = torch.where(weights.ne(0).any(1).view(-1, 1, 1, 1), maps + delta, maps)
        return changed[..., 0].transpose(1, 2) if tokens else changed


def totals(steered: Tensor) -> Tensor:
    """The sum of each row's values, which is finite where all of them are: [R], float32.

    To ask every value took several times as long on a CPU.
    """
    return steered.detach().sum(tuple(range(1, steered.ndim)), dtype=torch.float32)


def finite(totals: Tensor, weights: Tensor) -> Tensor:
    """Whether the rows that were added to have finite `totals`, as a scalar to be read.

    What is not finite denoises to a black image, which no detector minds.

    Args:
        totals: of each row, [..., R].
        weights: s_k(t) of each row, [..., R, K]; rows without any are not looked at.
    """
    left_alone = weights.to(totals.device).eq(0).all(-1)
    return ((totals.abs() < math.inf) | left_alone).all()


def phase(timestep: Tensor, timesteps: float) -> Tensor:
    """The row of a plan's table that is in force at a timestep, as an index.

    Args:
        timestep: from `timesteps`, pure noise, to 0.
        timesteps: that of pure noise.
    """
    row = torch.rsub(timestep, PHASES + 0.5, alpha=PHASES / timesteps)
    return row.long().clamp(0, PHASES - 1)
