"""`Strengths`: the numbers of the plan in force at one site, where compiled graphs read them.

They stand in one table with room for more rows than the plan has. A graph takes its own number of
rows of it, so that one graph serves batches of every size that there is room for.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from safegen.steering.plan import PHASES

_ROOM = 32
"""Rows that there is room for at first: more make another table, and a graph compile anew."""


@dataclass(frozen=True)
class Strengths:
    """What the plan in force adds at one site; captured graphs hold these tensors."""

    table: Tensor
    """s_k(t) of each row, by call of a step and phase: [calls, PHASES, room, K]."""
    gated: Tensor
    """1 where a concept of a row is gated, else 0: [room, K]."""
    in_force: Tensor = field(repr=False)
    """How many rows the plan in force has, a scalar; 0: there is none."""

    @classmethod
    def none(cls, concepts: int, device: torch.device, calls: int = 1, rows: int = _ROOM) -> Self:
        """Those of no plan, with room for one of so many calls and rows."""
        room = max(_ROOM, 1 << (rows - 1).bit_length())
        return cls(
            torch.zeros(calls, PHASES, room, concepts, device=device),
            torch.zeros(room, concepts, device=device),
            torch.zeros((), dtype=torch.int64, device=device),
        )

    @property
    def room(self) -> int:
        """How many rows a plan may have."""
        return len(self.gated)

    def loaded(
        self, table: NDArray[np.float32], steered: NDArray[np.bool_], gated: NDArray[np.bool_]
    ) -> "Strengths":
        """Those of a plan: these, written over, or others where it has no room here.

        Args:
            table: s_k(t) of its samples, [PHASES, samples, K].
            steered: which runs of samples of each call of a step it is for, [calls, runs].
            gated: where a concept of a sample is gated, [samples, K].
        """
        _, samples, concepts = table.shape
        calls, runs = steered.shape
        rows = runs * samples
        into = self
        if calls != len(self.table) or rows > self.room:
            self.unload()  # for graphs that hold these
            into = Strengths.none(concepts, self.table.device, calls, max(rows, self.room))
        given, nothing = torch.from_numpy(table), torch.zeros(())
        for call, run in np.ndindex(calls, runs):
            there = into.table[call, :, run * samples : (run + 1) * samples]
            there.copy_(given if steered[call, run] else nothing)
        into.gated[:rows].copy_(torch.from_numpy(gated).repeat(runs, 1))
        into.in_force.fill_(rows)
        return into

    def moved(self, device: torch.device) -> "Strengths":
        """The same on another device; graphs that hold these add nothing from now on."""
        there = (each.to(device) for each in (self.table, self.gated, self.in_force))
        moved = Strengths(*there)
        self.unload()
        return moved

    def unload(self) -> None:
        """Have no plan in force, so that a bare call under a compiled graph adds nothing."""
        self.in_force.zero_()

    def now(self, rows: int, phase: Tensor, calls: Tensor) -> Tensor:
        """s_k(t) of a call's rows, [rows, K], where the plan in force has as many.

        Args:
            rows: of the call's batch, no more than there is room for.
            phase: at which the denoising is, as an index, [1].
            calls: how many calls of the denoiser were made, this one included, [1].
        """
        index = phase
        if len(self.table) > 1:
            index = (calls - 1) % len(self.table) * PHASES + phase
        # Not table[index]: torch.compile would read the number out and cut the graph.
        index = index.to(self.table.device)
        return self.table.flatten(0, 1).index_select(0, index).squeeze(0).narrow(0, 0, rows)
