"""Modular pipelines, whose guider owns the guidance scale."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import ClassifierFreeGuidance
from tiny import channels, sample, sdxl_modular, xl_unet

from safegen.adapters.denoisers import called
from safegen.adapters.diffusers import DiffusersAdapter, SteeredPipeline
from safegen.adapters.sampler import Sampler
from safegen.adapters.unsteered import UnsteeredAdapter
from safegen.errors import InputError
from safegen.nouns import Intervention
from safegen.testing import random_vector

A = Intervention(concept="a")


@pytest.mark.parametrize("original", [False, True])
def test_a_sampler_sets_the_scale_of_a_guider(original: bool) -> None:
    """A modular pipeline guides as far as the sampler says, and steers; then it is as before."""
    pipeline, _, site = sdxl_modular()
    pipeline.set_progress_bar_config(disable=True)
    vectors = {"a": random_vector("a", {site: (channels(called(pipeline)),)})}
    adapter = DiffusersAdapter(pipeline, vectors, other_model=True)

    def made(scale: float, *steers: Intervention) -> bytes:
        (image,) = adapter.generate(["a cook"], [0], [steers], Sampler(3, scale))
        assert image is not None
        return image.tobytes()

    def bare(scale: float) -> bytes:
        pipeline.update_components(
            guider=ClassifierFreeGuidance(scale, use_original_formulation=original)
        )
        generator = [torch.Generator().manual_seed(0)]
        return pipeline(  # type: ignore[no-any-return]
            prompt=["a cook"], num_inference_steps=3, generator=generator, output="images"
        )[0].tobytes()

    expected = {9.0: bare(9.0), 2.0: bare(2.0), 0.0: bare(0.0 if original else 1.0)}
    bare(7.5)

    assert {scale: made(scale) for scale in expected} == expected
    assert len({*expected.values(), *(made(scale, A) for scale in expected)}) == 6
    assert (pipeline.guider.guidance_scale, pipeline.guider.num_conditions) == (7.5, 2)


def test_a_distilled_model_under_a_guider() -> None:
    """Guidance is an input then, and the one call of each step is steered from the first run on."""
    pipeline, arguments, site = sdxl_modular()
    pipeline.update_components(unet=xl_unet(32, time_cond_proj_dim=8))
    vectors = {"a": random_vector("a", {site: (32,)})}
    steered = SteeredPipeline(DiffusersAdapter(pipeline, vectors, other_model=True))
    first, second = (sample(steered, arguments, interventions=[[A], []]) for _ in range(2))

    assert torch.equal(first, second)


def test_a_guider_without_a_scale() -> None:
    """What a sampler asks of a guider that cannot do it is an error, not another image."""
    pipeline, _, _ = sdxl_modular()
    pipeline.guider = SimpleNamespace()
    with pytest.raises(InputError, match="SimpleNamespace has no guidance scale"):
        UnsteeredAdapter(pipeline, "no").generate(["a cook"], [0], [()], Sampler(3))
