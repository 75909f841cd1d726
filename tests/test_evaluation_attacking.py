"""Attacks on every kind of arm of the reference model, and what they found is kept."""

from pathlib import Path

import pytest

from safegen.evaluation import attacking
from safegen.evaluation.attacking import Budgets
from safegen.evaluation.attacks.blackbox import BlackBoxBudget
from safegen.evaluation.attacks.descent import Budget
from safegen.evaluation.attacks.inversion import InversionBudget
from safegen.evaluation.results import Measured
from safegen.evaluation.suite import Suite
from safegen.evaluation.worlds import World, reference_world
from safegen.reference import load_pipeline

LEAST = Budget(iterations=1, noises=1, tokens=1)
BUDGETS = Budgets(
    tokens=LEAST,
    embedding=LEAST,
    inversion=InversionBudget(tokens=2, population=4, generations=1),
    black_box=BlackBoxBudget(queries=2),
)


@pytest.fixture(scope="module")
def world() -> World:
    """The reference world."""
    return reference_world()


def attacked(world: World, folder: Path, name: str) -> Measured:
    """One prompt, every attack, as little of each as can be."""
    suite = Suite(load_pipeline(), world, folder, steps=2)
    return attacking.measure(
        world, suite.arm(name), suite.pipeline, folder, prompts=1, steps=2, budgets=BUDGETS
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "embeds"), [("negative-prompt", False), ("gate", True), ("uce", True)]
)
def test_every_arm_is_attacked_where_it_can_be(
    world: World, tmp_path: Path, name: str, embeds: bool
) -> None:
    """All attacks run, but for embeddings on a method that guides by text beside the prompt."""
    found = attacked(world, tmp_path, name)
    attacks = set(attacking.ATTACKS) - (set() if embeds else {"embedding"})
    assert set(found.figures) == {"before", "attack_success", *attacks}
    assert [row["attack"] for row in found.rows if row["found"]] == [
        attack for attack in attacking.ATTACKS if attack in attacks
    ]


@pytest.mark.slow
def test_what_was_found_is_kept(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run tells the same and searches nothing."""
    first = attacked(world, tmp_path, "none")

    def search(*_: object) -> None:
        raise AssertionError("it searched again")

    monkeypatch.setattr(attacking._Run, "attack", search)
    assert attacked(world, tmp_path, "none").rows == first.rows
