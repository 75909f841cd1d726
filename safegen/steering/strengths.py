"""`Strengths`: the numbers of the plan in force at one site, where compiled graphs read them.

They stand in one table with room for more rows than the plan has. A graph takes its own number of
rows of it, so that one graph serves batches of every size that there is room for.
"""

from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from safegen.steering.add import phase
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

    def loaded(self, table: Tensor, gated: Tensor) -> "Strengths":
        """Those of a plan: these, written over, or others where it has no room here.

        Args:
            table: s_k(t) of its rows, [calls, PHASES, rows, K].
            gated: 1 where a concept of a row is gated, [rows, K].
        """
        calls, _, rows, concepts = table.shape
        into = self
        if calls != len(self.table) or rows > self.room:
            self.unload()  # for graphs that hold these
            into = Strengths.none(concepts, self.table.device, calls, max(rows, self.room))
        into.table[:, :, :rows].copy_(table)
        into.gated[:rows].copy_(gated)
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

    def now(self, rows: int, progress: Tensor, calls: Tensor) -> Tensor:
        """s_k(t) of a call's rows, [rows, K]; 0 where the plan in force has another number of them.

        Args:
            rows: of the call's batch, no more than there is room for.
            progress: how far the denoising is, from 0 at pure noise to 1, a scalar.
            calls: how many calls of the denoiser were made, this one included, a scalar.
        """
        index = (calls - 1) % len(self.table) * PHASES + phase(progress)
        # Not table[index]: torch.compile would read the number out and cut the graph.
        index = index.reshape(1).to(self.table.device)
        weights = self.table.flatten(0, 1).index_select(0, index)[0, :rows]
        return torch.where(self.in_force.eq(rows), weights, 0.0)
