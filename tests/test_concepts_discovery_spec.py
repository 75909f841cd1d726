"""Budgets by name."""

import pytest

from safegen.concepts.discovery.spec import preset
from safegen.errors import InputError


def test_published_is_the_published_recipe() -> None:
    """1000 images, 2500 steps of Adam at a constant 0.1 in batches of 8, float32, no early stop."""
    budget = preset("published", "self-discovery", 3)

    assert (budget.trajectories, budget.steps, budget.batch) == (1000, 2500, 8)
    assert (budget.learning_rate, budget.relative, budget.precision) == (0.1, False, "full")
    assert (budget.patience, budget.states, budget.initial, budget.seed) == (0, 0, 0.1, 3)


def test_names_that_mean_nothing_are_refused() -> None:
    """There is no such budget, and no published form of another method."""
    with pytest.raises(InputError, match="huge"):
        preset("huge", "contrast", 0)
    with pytest.raises(InputError, match="self-discovery"):
        preset("published", "contrast", 0)
