"""Every peer makes images on a tiny model, and changes them as it says."""

import time
from typing import Any

import pytest
from diffusers import DDIMScheduler, StableDiffusionPipeline

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.concepts.digest import model_digest
from safegen.concepts.vector import ConceptVector
from safegen.evaluation import peers
from safegen.evaluation.edits import EsdBudget, esd, uce
from safegen.evaluation.subjects import Ask, Subject
from safegen.testing import random_vector, tiny_pipeline

PLAIN = Ask("a cook", 2)
AWAY = Ask("a cook", 2, push=(("a",), ()), away="a knife")


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    """A tiny model."""
    return tiny_pipeline()


def images(subject: Subject, *asks: Ask) -> list[list[bytes]]:
    """The pixels of every answer."""
    return [[image.tobytes() for image in answer.shown] for answer in subject(asks)]


def vector(pipeline: StableDiffusionPipeline) -> ConceptVector:
    """One that says it was learned on this model."""
    made = random_vector("a", {"mid_block": (32, 4, 4)}, with_levels=True)
    passport = made.passport.model_copy(update={"model_digest": model_digest(pipeline.unet)})
    return ConceptVector(passport, made.arrays, made.levels)


@pytest.mark.parametrize("make", [peers.negative_prompt, peers.sld, peers.sega])
def test_textual_peers_act_where_there_is_something_to_avoid(
    pipeline: StableDiffusionPipeline, make: peers.Maker
) -> None:
    """With words to lead away from the images change, without they are the bare model's."""
    model = peers.Bare(pipeline, 14)  # sld warms up for 7 steps
    bare, peer = peers.none(model), make(model)
    assert images(peer, AWAY) != images(bare, AWAY)
    if make is not peers.sld:  # its momentum runs through other arithmetic
        assert images(peer, PLAIN) == images(bare, PLAIN)


def test_another_sampler_makes_other_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the scheduler are part of the digest, and so is SafeGen's version."""
    model = tiny_pipeline()
    digest = peers.Bare(model, 3).digest
    assert peers.Bare(model, 3).digest == digest
    other = DDIMScheduler.from_config(model.scheduler.config, rescale_betas_zero_snr=True)
    model.scheduler, plain = other, model.scheduler
    assert peers.Bare(model, 3).digest != digest
    model.scheduler = plain
    monkeypatch.setattr(peers, "version", lambda _: "9")
    assert peers.Bare(model, 3).digest != digest


@pytest.mark.parametrize("gate", ["open", "projection"])
def test_pushes_act_on_the_images_they_name(
    pipeline: StableDiffusionPipeline, gate: peers.GateKind
) -> None:
    """The first image is pushed, the second is not, and the model is left as it was."""
    model = peers.Bare(pipeline, 3)
    bare = peers.none(model)
    before = images(bare, AWAY)
    peer = peers.pushed(model, "constant", {"a": vector(pipeline)}, gate)
    [[first, second]] = images(peer, AWAY)
    assert first != before[0][0]
    assert second == before[0][1]
    assert images(bare, AWAY) == before


def test_attaching_is_not_timed(
    pipeline: StableDiffusionPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service attaches once; so seconds are those of the images, as with every other subject."""
    clock = [0.0]

    def slow(*given: Any) -> DiffusersAdapter:
        clock[0] += 100
        return DiffusersAdapter(*given)

    monkeypatch.setattr(peers, "DiffusersAdapter", slow)
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    peer = peers.pushed(peers.Bare(pipeline, 2), "gate", {"a": vector(pipeline)}, "projection")
    assert [answer.seconds for answer in peer([AWAY])] == [0]
    assert clock == [100]


def test_uce_maps_what_it_erases_to_nothing(pipeline: StableDiffusionPipeline) -> None:
    """The edited projections read an erased text almost as the empty one; the model is a copy."""
    before = model_digest(pipeline.unet)
    edited = uce(pipeline, ["a knife"], [], weight=1e-4)
    assert model_digest(pipeline.unet) == before
    projection = next(m for n, m in edited.unet.named_modules() if n.endswith("attn2.to_k"))
    old = next(m for n, m in pipeline.unet.named_modules() if n.endswith("attn2.to_k"))
    knife, nothing = (
        pipeline.encode_prompt([text], pipeline.device, 1, False)[0] for text in ("a knife", "")
    )
    wanted = old(nothing)
    assert (projection(knife) - wanted).norm() < 0.2 * (old(knife) - wanted).norm()


def test_esd_tunes_the_cross_attention_alone(pipeline: StableDiffusionPipeline) -> None:
    """Other weights stay, and progress is told once an iteration."""
    told: list[int] = []
    budget = EsdBudget(iterations=2, batch=2, sampling_steps=2, learning_rate=1e-2)
    tuned = esd(pipeline, ["a knife"], budget, told.append).unet
    changed = {
        name
        for (name, new), (_, old) in zip(
            tuned.named_parameters(), pipeline.unet.named_parameters(), strict=True
        )
        if not new.equal(old)
    }
    assert told == [1, 2]
    assert changed
    assert all("attn2" in name for name in changed)
