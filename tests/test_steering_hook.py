"""Steering on a tiny real UNet: exact, visible, reversible."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from safegen.concepts.vector import ConceptVector, Passport
from safegen.errors import SteeringError
from safegen.nouns import Intervention
from safegen.steering.hook import GUIDED, UNGUIDED, Steering
from safegen.steering.plan import Plan


@pytest.fixture
def unet() -> UNet2DConditionModel:
    """A UNet of Stable Diffusion's kind, tiny and random."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 32),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=4,
    ).eval()


def vector(name: str, shape: tuple[int, ...], site: str = "mid_block") -> ConceptVector:
    """A random vector."""
    values = np.random.default_rng(len(name)).normal(size=shape).astype(np.float32)
    passport = Passport(
        concept=name,
        model_family="UNet2DConditionModel",
        model_digest="sha256:test",
        site_shapes={site: shape},
        method="contrast",
        settings={},
        seed=0,
        prompts={},
        date="2026-01-01",
    )
    return ConceptVector(passport, {site: values})


def call(unet: UNet2DConditionModel, rows: int, timestep: int = 500) -> torch.Tensor:
    """The UNet's output for equal rows."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(1, 4, 8, 8, generator=generator).repeat(rows, 1, 1, 1)
    text = torch.randn(1, 3, 16, generator=generator).repeat(rows, 1, 1)
    with torch.no_grad():
        return unet(noise, timestep, text).sample


def plan(samples: Sequence[Sequence[Intervention]], **vectors: ConceptVector) -> Plan:
    """A plan by keyword."""
    return Plan.of(samples, vectors)


def test_only_the_steered_conditional_row_changes(unet: UNet2DConditionModel) -> None:
    """In a guided batch the unsteered sample and all unconditional rows are bit-identical."""
    bare = call(unet, 4)
    with Steering(unet, ["mid_block"]) as steering:
        with steering.using(plan([[], [Intervention(concept="a")]], a=vector("a", (32, 4, 4)))):
            steered = call(unet, 4)

    assert [torch.equal(steered[i], bare[i]) for i in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("shape", [(32,), (32, 1, 1), (32, 4, 4), (32, 2, 2)])
def test_vectors_of_every_shape_are_added(
    unet: UNet2DConditionModel, shape: tuple[int, ...]
) -> None:
    """Pooled vectors broadcast, and a spatial vector of another size is interpolated."""
    seen = []
    with Steering(unet, ["mid_block"]) as steering:
        handle = unet.mid_block.register_forward_hook(lambda m, i, o: seen.append(o))
        chosen = vector("v", shape)
        with steering.using(plan([[Intervention(concept="v", strength=2)]], v=chosen), UNGUIDED):
            call(unet, 1)
        with steering.using(plan([[]], v=chosen), UNGUIDED):
            call(unet, 1)
        handle.remove()
    added = seen[0] - seen[1]
    expected = 2 * torch.from_numpy(chosen.arrays["mid_block"])
    if shape in ((32,), (32, 1, 1)):
        expected = expected.reshape(32, 1, 1).expand(32, 4, 4)
    elif shape == (32, 2, 2):
        expected = torch.nn.functional.interpolate(expected[None], (4, 4), mode="bilinear")[0]

    torch.testing.assert_close(added[0], expected, atol=1e-4, rtol=1e-4)


def test_the_window_decides_when(unet: UNet2DConditionModel) -> None:
    """A vector with a window acts within it and leaves the rest of the denoising alone."""
    late = Intervention(concept="a", start=0.6)
    bare = {t: call(unet, 1, t) for t in (900, 100)}
    with Steering(unet, ["mid_block"]) as steering:
        with steering.using(plan([[late]], a=vector("a", (32,))), UNGUIDED):
            steered = {t: call(unet, 1, t) for t in (900, 100)}

    assert torch.equal(steered[900], bare[900])
    assert not torch.equal(steered[100], bare[100])


def test_several_concepts_add_up(unet: UNet2DConditionModel) -> None:
    """The plan's addition is the sum of strength times vector."""
    a, b = vector("a", (32,)), vector("bb", (32,))
    both = [Intervention(concept="a", strength=0.5), Intervention(concept="b", strength=-1)]
    delta = plan([both], a=a, b=b).delta("mid_block", 0.5, (32, 4, 4))
    expected = 0.5 * a.arrays["mid_block"] - b.arrays["mid_block"]

    assert delta is not None
    np.testing.assert_allclose(delta[0, :, 0, 0].numpy(), expected, rtol=1e-6)


def test_a_plan_that_never_took_effect_is_an_error(unet: UNet2DConditionModel) -> None:
    """Steering that was asked for and did not happen is never silent."""
    with Steering(unet, ["mid_block"]) as steering:
        wanted = plan([[Intervention(concept="a")]], a=vector("a", (32,)))
        with pytest.raises(SteeringError, match="nothing was added at mid_block"):
            with steering.using(wanted):
                pass


def test_a_batch_of_another_layout_is_an_error(unet: UNet2DConditionModel) -> None:
    """Rows that the plan does not account for stop the run instead of steering the wrong ones."""
    with Steering(unet, ["mid_block"]) as steering:
        wanted = plan([[Intervention(concept="a")]], a=vector("a", (32,)))
        with pytest.raises(SteeringError, match="3 rows, expected 2"):
            with steering.using(wanted, GUIDED):
                call(unet, 3)


def test_detaching_leaves_no_trace(unet: UNet2DConditionModel) -> None:
    """After detach the denoiser has no hooks and the handle refuses to steer."""
    bare = call(unet, 2)
    steering = Steering(unet, ["mid_block", "up_blocks.0"])
    steering.detach()

    assert not unet._forward_pre_hooks
    assert not unet.mid_block._forward_hooks
    assert torch.equal(call(unet, 2), bare)
    with pytest.raises(SteeringError, match="detached"):
        with steering.using(plan([[]])):
            pass


def test_an_unknown_site_names_what_there_is(unet: UNet2DConditionModel) -> None:
    """A misspelt site says which modules the denoiser has."""
    with pytest.raises(SteeringError, match="mid_block"):
        Steering(unet, ["middle"])
