"""Tiny random pipelines of every class that the diffusers adapter supports, and how to call them.

Each maker gives (pipeline, arguments of a call for two images, site to steer at).
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    ControlNetModel,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    ModularPipeline,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPAGPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.modular_pipelines import StableDiffusionXLAutoBlocks
from torch import Tensor
from transformers import CLIPTextModelWithProjection

from safegen.reference.diffusion import build_text_encoder
from safegen.reference.tokenizer import build_tokenizer
from safegen.testing import tiny_pipeline, tiny_unet

IMAGE = torch.zeros(2, 3, 16, 16)
Made = tuple[Any, dict[str, Any], str]


def tiny_vae() -> AutoencoderKL:
    """An untrained autoencoder."""
    return AutoencoderKL(block_out_channels=(32,), latent_channels=4)


def sd() -> Made:
    """Stable Diffusion 1.x."""
    return tiny_pipeline(), {"prompt": ["a cook", "a cook"]}, "mid_block"


def image_to_image() -> Made:
    """Its image-to-image variant, from the same parts."""
    pipeline = StableDiffusionImg2ImgPipeline.from_pipe(tiny_pipeline())
    return pipeline, {"prompt": ["a cook"] * 2, "image": IMAGE, "strength": 0.7}, "mid_block"


def inpaint() -> Made:
    """Its inpainting variant."""
    pipeline = StableDiffusionInpaintPipeline.from_pipe(tiny_pipeline())
    given = {"image": IMAGE, "mask_image": torch.ones(2, 1, 16, 16), "height": 16, "width": 16}
    return pipeline, {"prompt": ["a cook"] * 2, **given}, "mid_block"


def controlnet() -> Made:
    """With a ControlNet, whose mid residual is added before the vector."""
    bare = tiny_pipeline()
    net = ControlNetModel.from_unet(bare.unet, conditioning_embedding_out_channels=(16, 32))
    pipeline = StableDiffusionControlNetPipeline(
        **bare.components, controlnet=net, requires_safety_checker=False
    )
    return pipeline, {"prompt": ["a cook"] * 2, "image": IMAGE}, "mid_block"


def pag() -> Made:
    """With perturbed attention guidance: a third row per sample, which is left alone."""
    parts = tiny_pipeline().components
    pipeline = StableDiffusionPAGPipeline(
        **parts, requires_safety_checker=False, pag_applied_layers="mid"
    )
    return pipeline, {"prompt": ["a cook"] * 2, "pag_scale": 3.0}, "mid_block"


def lcm() -> Made:
    """A latent consistency model: guidance as an input, one row per sample."""
    unet = tiny_unet(time_cond_proj_dim=8)
    parts = tiny_pipeline().components | {"unet": unet, "scheduler": LCMScheduler()}
    pipeline = LatentConsistencyModelPipeline(**parts, requires_safety_checker=False)
    return pipeline, {"prompt": ["a cook"] * 2}, "mid_block"


def xl_unet(text_width: int, **config: Any) -> UNet2DConditionModel:
    """Stable Diffusion XL's kind of UNet; `config` goes over its configuration."""
    return tiny_unet(
        cross_attention_dim=text_width,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
        **config,
    )


def sdxl() -> Made:
    """Stable Diffusion XL, from embeddings."""
    unet = xl_unet(16)
    pipeline = StableDiffusionXLPipeline(
        tiny_vae(), None, None, None, None, unet, EulerDiscreteScheduler()
    )
    return pipeline, embeddings(16, 16, negative=True), "mid_block"


def sdxl_modular() -> Made:
    """Stable Diffusion XL as a modular pipeline: a call per condition, by its guider."""
    tokenizer = build_tokenizer()
    text = build_text_encoder(tokenizer, width=16, layers=1, heads=2)
    pipeline = StableDiffusionXLAutoBlocks().init_pipeline()
    pipeline.update_components(
        unet=xl_unet(32),
        vae=tiny_vae(),
        scheduler=EulerDiscreteScheduler(),
        text_encoder=text,
        text_encoder_2=CLIPTextModelWithProjection(text.config),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
    )
    return pipeline, {"prompt": ["a cook"] * 2, "height": 8, "width": 8}, "mid_block"


def sd3() -> Made:
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


def flux() -> Made:
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


def flux_guided() -> Made:
    """FLUX with true classifier-free guidance: a call per condition."""
    pipeline, arguments, site = flux()
    negative = embeddings(16, 16, negative=True)
    return pipeline, arguments | negative | {"true_cfg_scale": 3.0}, site


def qwen() -> Made:
    """Qwen-Image, which cannot be steered: true classifier-free guidance by default."""
    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    ).eval()
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    pipeline = QwenImagePipeline(FlowMatchEulerDiscreteScheduler(), vae, None, None, transformer)
    text = {"prompt_embeds": torch.ones(2, 4, 16), "prompt_embeds_mask": torch.ones(2, 4).long()}
    return pipeline, text | {"height": 16, "width": 16}, "transformer_blocks.0"


def pixart() -> Made:
    """PixArt: a transformer whose blocks put out the image stream alone."""
    return _pixart(PixArtSigmaPipeline, use_additional_conditions=False)


def pixart_alpha() -> Made:
    """PixArt-Alpha of 1024 pixels, whose transformer takes the picture's size and shape too."""
    # Its pipeline gives them to transformers of this sample size alone.
    more = {"use_additional_conditions": True, "sample_size": 128, "patch_size": 8}
    pipeline, arguments, site = _pixart(PixArtAlphaPipeline, **more)
    return pipeline, arguments | {"height": 64, "width": 64}, site


def _pixart(kind: type[Any], **config: Any) -> Made:
    transformer = PixArtTransformer2DModel(
        **{"sample_size": 8} | config,
        num_layers=2,
        attention_head_dim=12,
        num_attention_heads=2,
        in_channels=4,
        out_channels=8,
        cross_attention_dim=24,
        caption_channels=16,
    ).eval()
    pipeline = kind(None, None, tiny_vae(), transformer, EulerDiscreteScheduler())
    text = torch.ones(2, 4, 16)
    mask = torch.ones(2, 4)
    arguments = {
        "prompt_embeds": text,
        "prompt_attention_mask": mask,
        "negative_prompt": None,
        "negative_prompt_embeds": torch.zeros_like(text),
        "negative_prompt_attention_mask": mask,
        "use_resolution_binning": False,
        "height": 8,
        "width": 8,
    }
    return pipeline, arguments, "transformer_blocks.0"


def embeddings(width: int, pooled: int, *, negative: bool = False) -> dict[str, Tensor]:
    """Text for pipelines without text encoders."""
    text = {"prompt_embeds": torch.ones(2, 4, width), "pooled_prompt_embeds": torch.ones(2, pooled)}
    if negative:
        text |= {f"negative_{name}": torch.zeros_like(value) for name, value in text.items()}
    return text


CLASSES: list[Callable[[], Made]] = [
    sd,
    image_to_image,
    inpaint,
    controlnet,
    pag,
    lcm,
    sdxl,
    sdxl_modular,
    sd3,
    flux,
    flux_guided,
    pixart,
    pixart_alpha,
]


def channels(denoiser: Any) -> int:
    """Channels at the site that the tests steer."""
    if isinstance(denoiser, UNet2DConditionModel):
        return int(denoiser.config.block_out_channels[-1])
    return int(denoiser.config.attention_head_dim * denoiser.config.num_attention_heads)


def sample(pipeline: Any, arguments: dict[str, Any], **more: Any) -> Tensor:
    """Latents of two samples after a few steps."""
    pipeline.set_progress_bar_config(disable=True)
    seeds = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    call = arguments | {"num_inference_steps": 3, "generator": seeds} | more
    if isinstance(pipeline, ModularPipeline):
        return pipeline(**call, output="latents")  # type: ignore[no-any-return]
    return pipeline(**call, output_type="latent").images  # type: ignore[no-any-return]
