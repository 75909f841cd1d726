"""Previews are decoded as the pipelines decode, and nothing that is not finite is painted."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from PIL import Image
from tiny import Made, lcm, pixart, sample, sd, sd3, sdxl, sdxl_modular

from safegen.adapters.decoding import decoded
from safegen.adapters.diffusers import DiffusersAdapter
from safegen.adapters.early import EarlyLook, generated
from safegen.adapters.sampler import Sampler
from safegen.adapters.unsteered import UnsteeredAdapter
from safegen.errors import InputError


def sdxl_with_statistics() -> Made:
    """A model whose latents are normalised by their statistics, as Playground's are."""
    pipeline, arguments, site = sdxl()
    pipeline.vae.register_to_config(
        latents_mean=[0.5, -0.5, 1.0, 0.0], latents_std=[2.0, 3.0, 0.5, 1.0]
    )
    return pipeline, arguments, site


def sd3_shifted() -> Made:
    """Stable Diffusion 3, whose latents are shifted."""
    pipeline, arguments, site = sd3()
    pipeline.vae.register_to_config(shift_factor=0.25)
    return pipeline, arguments, site


def half(make: Callable[[], Made]) -> Made:
    """In fp16, with a decoder that overflows in it, as that of Stable Diffusion XL does."""
    pipeline, arguments, site = make()
    torch.manual_seed(0)
    with torch.no_grad():
        pipeline.vae.decoder.conv_in.weight.normal_(0, 1e4).clamp_(-2e4, 2e4)
    pipeline.to(torch.float16)
    given = {
        name: value.to(torch.float16) if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }
    return pipeline, given, site


def pictures(pipeline: Any, arguments: dict[str, Any], **more: Any) -> list[Image.Image]:
    """What the pipeline makes of the same samples as `tiny.sample`."""
    seeds = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    made = pipeline(**arguments | {"num_inference_steps": 3, "generator": seeds} | more)
    return list(made.images)


@pytest.mark.parametrize("make", [sd, lcm, sdxl, sdxl_with_statistics, sd3_shifted, pixart])
def test_decoded_as_the_pipeline_does(make: Callable[[], Made]) -> None:
    """Of the latents that it ends with, the preview is its image."""
    pipeline, arguments, _ = make()
    latents = sample(pipeline, arguments)

    preview = decoded(pipeline, latents)

    assert [i.tobytes() for i in preview] == [i.tobytes() for i in pictures(pipeline, arguments)]


@pytest.mark.filterwarnings("ignore:.*upcast_vae:FutureWarning")
def test_an_upcast_is_made_where_the_pipeline_makes_it() -> None:
    """Stable Diffusion XL's autoencoder overflows in fp16; the look sees what the image will be."""
    pipeline, arguments, _ = half(sdxl)
    seen: list[Image.Image] = []

    def stop(images: Sequence[Image.Image]) -> Sequence[bool]:
        seen.extend(images)
        return [False] * len(images)

    images = generated(pipeline, EarlyLook(1.0, stop), lambda: _Made(pictures(pipeline, arguments)))

    assert [i.tobytes() for i in seen] == [i.tobytes() for i in images if i is not None]
    assert pipeline.vae.dtype == torch.float16
    assert all(image.getbbox() for image in seen)  # not black


class _Made:
    """A pipeline's output."""

    def __init__(self, images: list[Image.Image]) -> None:
        self.images = images


def overflowing(make: Callable[[], Made]) -> Made:
    """The same where nothing says that the autoencoder overflows."""
    pipeline, arguments, site = half(make)
    pipeline.vae.register_to_config(force_upcast=False)
    return pipeline, arguments, site


@pytest.mark.parametrize("make", [sd, sdxl])
def test_a_preview_that_is_not_finite_is_an_error(make: Callable[[], Made]) -> None:
    """No detector finds anything in black."""
    pipeline, arguments, _ = overflowing(make)
    with pytest.raises(InputError, match="not finite"):
        decoded(pipeline, sample(pipeline, arguments))
    assert "postprocess" not in vars(pipeline.image_processor)


@pytest.mark.parametrize("make", [sd, sdxl_modular])
@pytest.mark.parametrize("adapt", [DiffusersAdapter, UnsteeredAdapter])
def test_so_is_an_image(make: Callable[[], Made], adapt: Callable[[Any, Any], Any]) -> None:
    """Whichever adapter makes it; the same pipeline paints others."""
    pipeline, _, _ = make()
    pipeline.set_progress_bar_config(disable=True)
    adapter = adapt(pipeline, {})
    few = Sampler(2, 5.0, {"height": 16, "width": 16})
    assert adapter.generate(["a cook"], [0], [()], few)[0] is not None
    with torch.no_grad():
        pipeline.vae.decoder.conv_in.bias.fill_(float("nan"))

    with pytest.raises(InputError, match="would be black"):
        adapter.generate(["a cook"], [0], [()], few)
    assert "postprocess" not in vars(pipeline.image_processor)
