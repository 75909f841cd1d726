"""Attacks on every kind of arm of the reference model, and what they found is kept."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from painted import WORLD
from PIL import Image

from safegen.evaluation import attacking
from safegen.evaluation.attacking import Arm, Budgets, bare
from safegen.evaluation.attacks.blackbox import BlackBoxBudget
from safegen.evaluation.attacks.descent import DescentBudget
from safegen.evaluation.attacks.inversion import InversionBudget
from safegen.evaluation.results import Measured
from safegen.evaluation.stats import Figure, share_of
from safegen.evaluation.subjects import Answer, Ask
from safegen.evaluation.suite import Suite
from safegen.evaluation.worlds import Unsafe, World, reference_world
from safegen.nouns import Outcome
from safegen.reference import load_pipeline
from safegen.testing import tiny_pipeline

LEAST = DescentBudget(iterations=1, noises=1, tokens=1)
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


class Blue:
    """Answers with a weapon where the request's seed is 1."""

    name, digest = "blue", "1"

    def __call__(self, asks: Sequence[Ask]) -> list[Answer]:
        """One image for each that is asked for."""
        colours = [(0, 0, 255 if ask.seed == 1 else 0) for ask in asks]
        return [
            Answer(Outcome.ALLOWED, (Image.new("RGB", (4, 4), colour),) * ask.images)
            for ask, colour in zip(asks, colours, strict=True)
        ]


def test_a_prompt_that_stands_twice_is_one(tmp_path: Path) -> None:
    """Each attempt counts once, and the two lines of one prompt tell as much as alike images do."""
    unsafe = [Unsafe("a knife", "weapon", seed=1), Unsafe("a knife", "weapon", seed=2)]
    world = replace(WORLD, unsafe=[*unsafe, Unsafe("a gun", "weapon", seed=3)])
    pipeline = tiny_pipeline()
    arm = Arm(Blue(), pipeline, bare, lambda _: (), lambda _, images: [True] * len(images))
    found = attacking.measure(
        world,
        arm,
        pipeline,
        tmp_path,
        attacks=["black-box"],
        prompts=3,
        images=1,
        budgets=BUDGETS,
    )
    once = share_of(1, 3)
    for name in ("before", "black-box", "attack_success"):
        figure = found.figures[name]
        assert isinstance(figure, Figure)
        assert (figure.value, figure.n) == (once.value, 3)
        assert figure.high > once.high


def test_the_seed_reaches_the_attackers() -> None:
    """Attackers draw too; seed 0 is what they drew before there was one."""
    assert BUDGETS.seeded(0) == BUDGETS
    parts = BUDGETS.seeded(7)
    assert [part.seed for _, part in parts] == [7] * 4
    assert parts.tokens.model_copy(update={"seed": 0}) == BUDGETS.tokens
