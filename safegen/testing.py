"""Tiny models and vectors for testing an integration without weights, in milliseconds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from safegen.concepts.vector import Array, ConceptVector, Levels, Passport

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from PIL import Image


def tiny_unet(**config: Any) -> "UNet2DConditionModel":
    """A random UNet of Stable Diffusion's kind; `config` goes over its configuration.

    It takes latents [B, 4, 8, 8] and text [B, L, 16]; its mid block puts out [B, 32, 4, 4].
    """
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    small = {
        "sample_size": 8,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (32, 32),
        "layers_per_block": 1,
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
    }
    return UNet2DConditionModel(**small | config).eval()


def tiny_pipeline() -> "StableDiffusionPipeline":
    """A random `StableDiffusionPipeline` around `tiny_unet`: 16x16 px, any prompt."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline

    from safegen.reference.diffusion import build_text_encoder
    from safegen.reference.tokenizer import build_tokenizer

    unet, tokenizer = tiny_unet(), build_tokenizer()
    torch.manual_seed(0)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            block_out_channels=(32, 32),
            latent_channels=4,
        ),
        text_encoder=build_text_encoder(tokenizer, width=16, layers=1, heads=2),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def random_vector(
    concept: str,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    activation_norm: float = 0.0,
    with_levels: bool = False,
) -> ConceptVector:
    """A vector of normal deviates, the same for the same `concept`.

    Args:
        concept: its name.
        shapes: site -> [C], [C, 1, 1] or [C, H, W].
        activation_norm: what it claims to be typical at every site; 0: not measured.
        with_levels: give it levels for projection gates: -1 before, 1 after, at every position.
    """
    rng = np.random.default_rng([*concept.encode()])
    arrays: dict[str, Array] = {
        site: rng.normal(size=shape).astype(np.float32) for site, shape in shapes.items()
    }
    passport = Passport(
        concept=concept,
        model_family="UNet2DConditionModel",
        model_digest="sha256:test",
        site_shapes=dict(shapes),
        method="contrast",
        settings={},
        seed=0,
        prompts={},
        date="2026-01-01",
        activation_norms=dict.fromkeys(shapes, activation_norm) if activation_norm else {},
    )
    levels = {
        site: Levels(
            -np.ones((1, *(shape[1:] or (1, 1))), np.float32),
            np.ones((1, *(shape[1:] or (1, 1))), np.float32),
        )
        for site, shape in shapes.items()
    }
    return ConceptVector(passport, arrays, levels if with_levels else {})


MONK = (
    (246, 237, 228), (243, 231, 219), (247, 234, 208), (234, 218, 186), (215, 189, 150),
    (160, 126, 86), (130, 92, 67), (96, 65, 52), (58, 49, 42), (41, 36, 32),
)  # fmt: skip
"""The ten tones of the Monk skin tone scale, from light to dark, as RGB."""


def drawn_face(skin: tuple[int, int, int] = MONK[4], *, hair: bool = True) -> "Image.Image":
    """A face that face detectors find, drawn from ellipses, 256x256; nobody's."""
    from PIL import Image, ImageDraw, ImageFilter

    def shade(factor: float) -> tuple[int, int, int]:
        red, green, blue = (min(255, int(channel * factor)) for channel in skin)
        return red, green, blue

    image = Image.new("RGB", (256, 256), (120, 130, 140))
    draw = ImageDraw.Draw(image)
    if hair:
        draw.ellipse((58, 25, 198, 190), (40, 30, 25))
    draw.ellipse((68, 45, 188, 225), skin)
    for x in (103, 153):
        draw.ellipse((x - 18, 96, x + 18, 118), shade(0.75))
        draw.ellipse((x - 13, 100, x + 13, 115), (240, 240, 240))
        draw.ellipse((x - 7, 100, x + 7, 115), (30, 25, 20))
        draw.line([(x - 20, 90), (x, 84), (x + 20, 90)], shade(0.45), 6)
    draw.polygon([(128, 110), (116, 155), (140, 155)], shade(1.1))
    draw.ellipse((114, 148, 142, 162), shade(0.75))
    for x in (121, 135):
        draw.ellipse((x - 4, 153, x + 4, 160), shade(0.45))
    red, green, blue = skin
    draw.ellipse((102, 178, 154, 198), (int(red * 0.8), green // 2, blue // 2))
    draw.line([(104, 187), (152, 187)], shade(0.45), 3)
    return image.filter(ImageFilter.GaussianBlur(1.5))
