"""The sum at one site: exact, and nothing where nothing is due."""

import pytest
import torch

from safegen.steering.add import Addition, phase
from safegen.testing import random_vector

SITE = "mid_block"
NOW = torch.tensor([500])


@pytest.fixture
def addition() -> Addition:
    """Two concepts at one site."""
    return Addition.of(SITE, {name: random_vector(name, {SITE: (8,)}) for name in "ab"})


def test_rows_get_their_weights_of_every_vector(addition: Addition) -> None:
    """What is added to a row is the weighted sum of the vectors, at every position alike."""
    hidden = torch.randn(2, 8, 3, 5, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([[2.0, -1.0], [0.0, 0.5]])
    added = addition(hidden, weights, None, NOW) - hidden
    expected = (weights @ addition.vectors.flatten(1))[..., None, None].expand_as(hidden)

    torch.testing.assert_close(added, expected)


def test_rows_without_weights_keep_every_bit(addition: Addition) -> None:
    """Where another row of the batch is changed, and where adding 0 would not be exact."""
    hidden = torch.full((2, 8, 4, 4), -0.0)
    changed = addition(hidden, torch.tensor([[0.0, 0.0], [1.0, 0.0]]), None, NOW)

    assert torch.equal(torch.signbit(changed[0]), torch.signbit(hidden[0]))
    assert not torch.equal(changed[1], hidden[1])


def test_tokens_are_positions_in_a_line(addition: Addition) -> None:
    """A transformer's [R, N, C] gets what a map with the same positions gets."""
    hidden = torch.randn(1, 8, 6, 1, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([[1.0, 1.0]])
    tokens = addition(hidden[..., 0].transpose(1, 2), weights, None, NOW)

    torch.testing.assert_close(tokens, addition(hidden, weights, None, NOW)[..., 0].transpose(1, 2))


@pytest.mark.parametrize(("timestep", "row"), [(1000, 0), (999, 1), (500, 500), (0, 999)])
def test_a_phase_is_a_row_of_the_plan(timestep: float, row: int) -> None:
    """From pure noise to the image, the last row included; timesteps may be fractions of 1."""
    assert phase(torch.tensor([float(timestep)]), 1000) == row
    assert phase(torch.tensor([timestep / 1000]), 1) == row
