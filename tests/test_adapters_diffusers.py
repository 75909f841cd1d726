"""The diffusers adapter on tiny random models of every supported class."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    LCMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from safegen.adapters.denoisers import probe
from safegen.adapters.diffusers import DiffusersAdapter, SteeredPipeline
from torch import Tensor

from safegen.errors import InputError, SteeringError, UnknownModelError
from safegen.nouns import Intervention
from safegen.testing import random_vector, tiny_pipeline, tiny_unet

A = Intervention(concept="a")
IMAGE = torch.zeros(2, 3, 16, 16)


def generators() -> list[torch.Generator]:
    """One per sample."""
    return [torch.Generator().manual_seed(seed) for seed in (0, 1)]


def tiny_vae() -> AutoencoderKL:
    """An untrained autoencoder."""
    return AutoencoderKL(block_out_channels=(32,), latent_channels=4)


def sd() -> tuple[Any, dict[str, Any], str]:
    """Stable Diffusion 1.x."""
    return tiny_pipeline(), {"prompt": ["a cook", "a cook"]}, "mid_block"


def image_to_image() -> tuple[Any, dict[str, Any], str]:
    """Its image-to-image variant, from the same parts."""
    pipeline = StableDiffusionImg2ImgPipeline.from_pipe(tiny_pipeline())
    return pipeline, {"prompt": ["a cook"] * 2, "image": IMAGE, "strength": 0.7}, "mid_block"


def inpaint() -> tuple[Any, dict[str, Any], str]:
    """Its inpainting variant."""
    pipeline = StableDiffusionInpaintPipeline.from_pipe(tiny_pipeline())
    given = {"image": IMAGE, "mask_image": torch.ones(2, 1, 16, 16), "height": 16, "width": 16}
    return pipeline, {"prompt": ["a cook"] * 2, **given}, "mid_block"


def controlnet() -> tuple[Any, dict[str, Any], str]:
    """With a ControlNet, whose mid residual is added before the vector."""
    bare = tiny_pipeline()
    net = ControlNetModel.from_unet(bare.unet, conditioning_embedding_out_channels=(16, 32))
    pipeline = StableDiffusionControlNetPipeline(
        **bare.components, controlnet=net, requires_safety_checker=False
    )
    return pipeline, {"prompt": ["a cook"] * 2, "image": IMAGE}, "mid_block"


def sdxl() -> tuple[Any, dict[str, Any], str]:
    """Stable Diffusion XL, from embeddings."""
    unet = tiny_unet(
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )
    pipeline = StableDiffusionXLPipeline(
        tiny_vae(), None, None, None, None, unet, EulerDiscreteScheduler()
    )
    return pipeline, embeddings(16, 16, negative=True), "mid_block"


def sd3() -> tuple[Any, dict[str, Any], str]:
    """Stable Diffusion 3: a transformer, steered on the image stream of a joint block."""
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=1,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=16,
        pooled_projection_dim=16,
        out_channels=4,
    ).eval()
    parts = [None] * 6
    pipeline = StableDiffusion3Pipeline(
        transformer, FlowMatchEulerDiscreteScheduler(), tiny_vae(), *parts
    )
    size = {"height": 8, "width": 8}
    return pipeline, embeddings(16, 16, negative=True) | size, "transformer_blocks.0:1"


def flux() -> tuple[Any, dict[str, Any], str]:
    """FLUX: timesteps as fractions, guidance as an input, one row per sample."""
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    ).eval()
    parts = [None] * 4
    pipeline = FluxPipeline(
        FlowMatchEulerDiscreteScheduler(), tiny_vae(), *parts, transformer=transformer
    )
    return pipeline, embeddings(16, 16) | {"height": 16, "width": 16}, "transformer_blocks.0:1"


def embeddings(width: int, pooled: int, *, negative: bool = False) -> dict[str, Tensor]:
    """Text for pipelines without text encoders."""
    text = {"prompt_embeds": torch.ones(2, 4, width), "pooled_prompt_embeds": torch.ones(2, pooled)}
    if negative:
        text |= {f"negative_{name}": torch.zeros_like(value) for name, value in text.items()}
    return text


CLASSES = [sd, image_to_image, inpaint, controlnet, sdxl, sd3, flux]


def channels(denoiser: Any) -> int:
    """Channels at the site that the tests steer."""
    if isinstance(denoiser, UNet2DConditionModel):
        return int(denoiser.config.block_out_channels[-1])
    return int(denoiser.config.attention_head_dim * denoiser.config.num_attention_heads)


def sample(pipeline: Any, arguments: dict[str, Any], **more: Any) -> Tensor:
    """Latents of two samples after a few steps."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(  # type: ignore[no-any-return]
        **arguments, num_inference_steps=3, generator=generators(), output_type="latent", **more
    ).images


@pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)
def test_a_mixed_batch(make: Callable[[], tuple[Any, dict[str, Any], str]]) -> None:
    """The steered sample changes, the other keeps every bit, and detaching restores the model."""
    pipeline, arguments, site = make()
    bare = sample(pipeline, arguments)
    denoiser = getattr(pipeline, "unet", None) or pipeline.transformer
    vectors = {"a": random_vector("a", {site: (channels(denoiser),)})}
    adapter = DiffusersAdapter(pipeline, vectors, other_model=True)
    steered = sample(SteeredPipeline(adapter), arguments, interventions=[[], [A]])
    adapter.detach()

    assert torch.equal(steered[0], bare[0])
    assert not torch.allclose(steered[1], bare[1], atol=1e-4)
    assert torch.equal(sample(pipeline, arguments), bare)


@pytest.fixture
def adapter() -> DiffusersAdapter:
    """On the tiny Stable Diffusion."""
    vectors = {"a": random_vector("a", {"mid_block": (32,)})}
    return DiffusersAdapter(tiny_pipeline(), vectors, other_model=True)


@pytest.mark.parametrize(
    "scheduler",
    [DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler, LCMScheduler],
    ids=lambda cls: cls.__name__,
)
@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_any_scheduler_with_and_without_guidance(
    adapter: DiffusersAdapter, scheduler: Any, guidance_scale: float
) -> None:
    """Steering is right where there is one row per sample, and where there are two."""
    adapter.pipeline.scheduler = scheduler()
    steered = SteeredPipeline(adapter)
    arguments = {"prompt": ["a cook"] * 2, "guidance_scale": guidance_scale}
    bare = sample(adapter.pipeline, arguments)
    made = sample(steered, arguments, interventions=[[A], []])

    assert not torch.allclose(made[0], bare[0], atol=1e-4)
    assert torch.equal(made[1], bare[1])


def test_several_images_of_one_prompt(adapter: DiffusersAdapter) -> None:
    """`num_images_per_prompt` counts; interventions go by image."""
    steered = SteeredPipeline(adapter)
    arguments = {"prompt": "a cook", "num_images_per_prompt": 2}
    bare = sample(adapter.pipeline, arguments)
    made = sample(steered, arguments, interventions=[[], [A]])
    all_ = sample(steered, arguments, interventions=[[A]])

    assert torch.equal(made[0], bare[0])
    assert not torch.allclose(made[1], bare[1], atol=1e-4)
    assert torch.equal(all_[1], made[1])
    with pytest.raises(InputError, match="for 3 images, the call makes 2"):
        sample(steered, arguments, interventions=[[A]] * 3)


def test_the_users_own_callback_still_runs(adapter: DiffusersAdapter) -> None:
    """`callback_on_step_end` is passed on untouched."""
    seen = []

    def callback(_: Any, step: int, __: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        seen.append(step)
        return kwargs

    arguments = {"prompt": ["a cook"] * 2, "callback_on_step_end": callback}
    sample(SteeredPipeline(adapter), arguments, interventions=[[A], []])

    assert seen == [0, 1, 2]


def test_the_wrapped_object_still_is_a_pipeline(adapter: DiffusersAdapter) -> None:
    """isinstance, attributes and assignments are the pipeline's; no subclass is made."""
    steered = SteeredPipeline(adapter)
    other = DDIMScheduler()
    steered.scheduler = other

    assert isinstance(steered, StableDiffusionPipeline)
    assert type(steered) is SteeredPipeline
    assert steered.unet is adapter.pipeline.unet
    assert adapter.pipeline.scheduler is other


def test_a_copy_shares_the_steered_unet(adapter: DiffusersAdapter) -> None:
    """`from_pipe` makes another pipeline around the same UNet: a plan in force acts there too."""
    copy = StableDiffusionImg2ImgPipeline.from_pipe(adapter.pipeline)

    assert copy.unet is adapter.pipeline.unet
    assert adapter.steering.attached


@pytest.mark.slow
def test_attaching_to_a_compiled_model_is_refused() -> None:
    """Hooks added after compilation are ignored; the self-test notices, and nothing is left."""
    pipeline = tiny_pipeline()
    pipeline.unet.compile(backend="eager")
    with torch.no_grad():
        probe(pipeline.unet, pipeline.unet, 2)
    with pytest.raises(SteeringError, match=r"before torch\.compile"):
        DiffusersAdapter(
            pipeline, {"a": random_vector("a", {"mid_block": (32,)})}, other_model=True
        )
    assert not pipeline.unet.mid_block._forward_hooks


def test_half_precision(adapter: DiffusersAdapter) -> None:
    """Vectors follow the model's dtype."""
    adapter.pipeline.to(torch.bfloat16)
    arguments = {"prompt": ["a cook"] * 2}
    bare = sample(adapter.pipeline, arguments)
    made = sample(SteeredPipeline(adapter), arguments, interventions=[[A], []])

    assert made.dtype == torch.bfloat16
    assert not torch.equal(made[0], bare[0])
    assert torch.equal(made[1], bare[1])


def test_a_pipeline_without_a_denoiser_it_knows() -> None:
    """An unconditional model is refused with what is supported."""
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(32,),
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    )
    with pytest.raises(UnknownModelError, match="supported are UNet2DConditionModel"):
        DiffusersAdapter(DDPMPipeline(unet, DDPMScheduler()), {})
