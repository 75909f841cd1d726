"""Attacks go through the hook, on a tiny model: what they descend on, search and give back."""

from collections.abc import Iterator

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.evaluation.attacks import blackbox, embedding, inversion, tokens
from safegen.evaluation.attacks.descent import AttackedPrompt, DescentBudget
from safegen.evaluation.attacks.inversion import InversionBudget
from safegen.evaluation.attacks.target import Target
from safegen.nouns import Intervention
from safegen.testing import random_vector, tiny_pipeline

STEER = [Intervention(concept="a", strength=3.0)]
IMAGE = torch.zeros(1, 3, 16, 16)
SMALL = DescentBudget(iterations=3, noises=2, tokens=2)


@pytest.fixture
def targets() -> Iterator[tuple[Target, Target]]:
    """The bare model, and the same with a vector on it."""
    pipeline = tiny_pipeline()
    vectors = {"a": random_vector("a", {"mid_block": (32, 4, 4)})}
    with DiffusersAdapter(pipeline, vectors, other_model=True) as adapter:
        yield Target(pipeline, None), Target(pipeline, adapter)


def test_gradients_flow_through_the_hook(targets: tuple[Target, Target]) -> None:
    """The steered prediction differs from the bare one and is differentiable in the text."""
    bare, guarded = targets
    text = guarded.text(guarded.ids("a photo of a cook")).detach().requires_grad_()
    latents, timestep = torch.zeros(2, 4, 8, 8), torch.tensor([500])
    steered = guarded.noise(latents, timestep, text, STEER)
    assert not torch.equal(steered, bare.noise(latents, timestep, text, ()))
    steered.square().sum().backward()
    assert text.grad is not None
    assert text.grad.abs().sum() > 0


def test_a_window_is_shut_at_some_timesteps(targets: tuple[Target, Target]) -> None:
    """At a timestep outside its window a concept adds nothing, and that is no error."""
    bare, guarded = targets
    text = bare.text(bare.ids("a photo of a cook")).detach()
    early = [Intervention(concept="a", strength=3.0, stop=0.5)]
    latents = torch.zeros(2, 4, 8, 8)
    for timestep, acts in ((900, True), (100, False)):
        at = torch.tensor([timestep])
        steered = guarded.noise(latents, at, text, early)
        assert torch.equal(steered, bare.noise(latents, at, text, ())) is not acts


def test_replaced_tokens_are_the_text(targets: tuple[Target, Target]) -> None:
    """Putting a word's own embedding in its place changes nothing; another one does."""
    bare, _ = targets
    ids = bare.ids("a photo of a cook")
    own = bare.words[ids[0, 1:3]]
    assert torch.equal(bare.text(ids, own), bare.text(ids))
    assert not torch.equal(bare.text(ids, own.flip(0)), bare.text(ids))


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_noise_is_that_of_the_training(predicts: str) -> None:
    """Whatever the sampler ran last, a timestep has its α and σ; the goal is what is predicted."""
    pipeline = tiny_pipeline()
    scheduler = DPMSolverMultistepScheduler.from_config(
        pipeline.scheduler.config, prediction_type=predicts
    )
    scheduler.set_timesteps(20)
    pipeline.scheduler = scheduler
    alpha = scheduler.alphas_cumprod[950].sqrt()
    sigma = (1 - scheduler.alphas_cumprod[950]).sqrt()
    clean, noise = torch.full((1, 4, 8, 8), 2.0), torch.full((1, 4, 8, 8), 3.0)
    noisy, goal = Target(pipeline, None).noised(clean, noise, torch.tensor([950]))
    assert sigma > 0.9
    assert torch.allclose(noisy, alpha * clean + sigma * noise)
    velocity = alpha * noise - sigma * clean
    assert torch.allclose(goal, noise if predicts == "epsilon" else velocity)


@pytest.mark.parametrize("objective", ["image", "prediction"])
def test_token_attacks_end_in_the_prompt(targets: tuple[Target, Target], objective: str) -> None:
    """Found words stand before the prompt, and the same seed finds the same ones."""
    case = AttackedPrompt(*targets, "a photo of a cook", IMAGE, STEER)
    found = [
        tokens.attack(case, SMALL, objective)  # type: ignore[arg-type]
        for _ in range(2)
    ]
    assert found[0].endswith("a photo of a cook")
    assert len(found[0]) > len("a photo of a cook")
    assert found[0] == found[1]


def test_embedding_attack_moves_the_embedding(targets: tuple[Target, Target]) -> None:
    """It starts at the prompt's embedding and leaves it."""
    bare, guarded = targets
    case = AttackedPrompt(bare, guarded, "a cook", IMAGE, STEER)
    start = bare.text(bare.ids("a cook")).detach()
    found = embedding.attack(case, SMALL)
    assert found.shape == start.shape
    assert not torch.equal(found, start)


def test_inversion_comes_nearer(targets: tuple[Target, Target]) -> None:
    """More generations end nearer to the embedding that is looked for."""
    bare, _ = targets
    direction = inversion.concept_direction(bare, [("a cook with a gun", "a cook")])
    goal = bare.text(bare.ids("a judge")) + direction
    few, many = (
        inversion.attack(
            bare,
            "a judge",
            direction,
            InversionBudget(tokens=4, population=12, generations=n, strength=1.0),
        )
        for n in (1, 30)
    )
    near = [(bare.text(bare.ids(found)) - goal).square().mean().item() for found in (few, many)]
    assert near[1] < near[0]


def test_black_box_stops_at_success_and_at_its_budget() -> None:
    """It asks no more than it may, and keeps what came nearest."""
    asked: list[str] = []

    def refused(prompt: str) -> float:
        asked.append(prompt)
        return 0.0

    found, queries = blackbox.attack(
        "a gun", [("gun", "pistol")], refused, blackbox.BlackBoxBudget()
    )
    assert (found, queries, len(asked)) == ("a gun", 16, 16)

    found, queries = blackbox.attack(
        "a gun", [("gun", "pistol")], lambda p: float("pistol" in p), blackbox.BlackBoxBudget()
    )
    assert "pistol" in found
    assert queries <= 16
