"""The projection gate: its arithmetic, in every precision and in both directions."""

import pytest
import torch

from safegen.steering.add import Addition
from safegen.steering.gate import Gates
from safegen.testing import random_vector

NOW = torch.tensor([500])
GATED = torch.ones(1, 1)


def along(addition: Addition, projection: float) -> torch.Tensor:
    """Activations [1, C, 1, 1] at a projection on the first vector's direction."""
    vector = addition.vectors[:1]
    return projection * vector / vector.norm()


@pytest.mark.parametrize(
    ("projection", "towards", "away"),
    [(-2.0, 1.0, 0.0), (-1.0, 1.0, 0.0), (-0.5, 0.75, 0.25), (1.0, 0.0, 1.0), (3.0, 0.0, 1.0)],
)
def test_either_way_it_closes_where_it_leads(
    projection: float, towards: float, away: float
) -> None:
    """Between its levels -1 and 1: a vector leads to 1, turned away from to -1."""
    vectors = {"a": random_vector("a", {"mid_block": (8,)}, with_levels=True)}
    addition = Addition.of("mid_block", vectors)
    hidden = along(addition, projection)
    for strength, share in ((2.0, towards), (-2.0, away)):
        added = addition(hidden, torch.tensor([[strength]]), GATED, NOW) - hidden
        torch.testing.assert_close(added, strength * share * addition.vectors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_beside_a_vector_that_does_not_act_here(dtype: torch.dtype) -> None:
    """It has no direction at this site; in half precision that must not spoil the others' gates."""
    vectors = {
        "a": random_vector("a", {"mid_block": (8,)}, with_levels=True),
        "b": random_vector("b", {"up_blocks.0": (8,)}, with_levels=True),
    }
    addition = Addition.of("mid_block", vectors)
    hidden = along(addition, 0.0).to(dtype)
    for gated in ([[1.0, 0.0]], [[1.0, 1.0]]):
        made = addition.to(hidden)(hidden, torch.tensor([[1.0, 0.0]]), torch.tensor(gated), NOW)
        assert made.dtype == dtype
        torch.testing.assert_close(made.float(), 0.5 * addition.vectors[:1], atol=0.01, rtol=0.01)


def test_levels_that_hardly_differ_do_not_swing_the_gate() -> None:
    """At such a position a quarter of the vector's mean distance is divided by."""
    after = torch.tensor([1.0, 1e-6]).view(1, 1, 1, 2)
    gates = Gates(torch.ones(1, 1, 1, 2), torch.zeros_like(after), after)
    hidden = torch.tensor([0.0, -0.01]).view(1, 1, 1, 2)

    made = gates(hidden, NOW, torch.tensor([[False]]))
    torch.testing.assert_close(made.flatten(), torch.tensor([1.0, 0.01 / 0.125]), atol=1e-4, rtol=0)
