"""Tiny models and vectors for testing an integration without weights, in milliseconds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from safegen.concepts.vector import Array, ConceptVector, Levels, Passport

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel


def tiny_unet(channels: int = 32) -> "UNet2DConditionModel":
    """A random UNet of Stable Diffusion's kind.

    It takes latents [B, 4, 8, 8] and text [B, L, 16]; its mid block puts out [B, channels, 4, 4].
    """
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(channels, channels),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=4,
    ).eval()


def tiny_pipeline() -> "StableDiffusionPipeline":
    """A random `StableDiffusionPipeline` around `tiny_unet`: 16x16 px, any prompt."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTextConfig, CLIPTextModel

    from safegen.reference.tokenizer import MAX_TOKENS, build_tokenizer

    unet, tokenizer = tiny_unet(), build_tokenizer()
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            block_out_channels=(32, 32),
            latent_channels=4,
        ),
        text_encoder=CLIPTextModel(text),
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
    model_digest: str = "sha256:test",
    activation_norm: float = 0.0,
    with_levels: bool = False,
    seed: int = 0,
) -> ConceptVector:
    """A vector of normal deviates, the same for the same `concept` and `seed`.

    Args:
        concept: its name.
        shapes: site -> [C], [C, 1, 1] or [C, H, W].
        model_digest: of the model that it claims to be for.
        activation_norm: what it claims to be typical at every site; 0: not measured.
        with_levels: give it levels for projection gates: -1 before, 1 after, at every position.
        seed: of the deviates.
    """
    rng = np.random.default_rng([seed, *concept.encode()])
    arrays: dict[str, Array] = {
        site: rng.normal(size=shape).astype(np.float32) for site, shape in shapes.items()
    }
    passport = Passport(
        concept=concept,
        model_family="UNet2DConditionModel",
        model_digest=model_digest,
        site_shapes=dict(shapes),
        method="contrast",
        settings={},
        seed=seed,
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
