"""The reference model as MODEL, CLIP and VAE of ComfyUI, so that a graph runs with no download.

Its UNet is ComfyUI's own, with the reference weights in ComfyUI's layout. Text encoder and
autoencoder are smaller than any that ComfyUI knows, so they stay diffusers' behind the few methods
that ComfyUI's nodes call.
"""

from typing import Any

import torch
from torch import Tensor

from safegen.errors import InputError
from safegen.reference import load_pipeline


class ReferenceText:
    """A CLIP for the nodes that encode text."""

    def __init__(self, pipeline: Any) -> None:
        """Encode with the pipeline's text encoder."""
        self._pipeline = pipeline

    def tokenize(self, text: str, **_: Any) -> Tensor:
        """Token ids, [1, L]."""
        tokenizer = self._pipeline.tokenizer
        ids: Tensor = tokenizer(
            [text],
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        return ids

    @torch.no_grad()
    def encode_from_tokens_scheduled(self, tokens: Tensor, **_: Any) -> list[list[Any]]:
        """A CONDITIONING."""
        return [[self._pipeline.text_encoder(tokens)[0], {"pooled_output": None}]]


class ReferenceImages:
    """A VAE for the nodes that encode and decode whole images, [B, H, W, 3] in [0, 1]."""

    def __init__(self, autoencoder: Any) -> None:
        """Use diffusers' autoencoder."""
        self._autoencoder = autoencoder

    @torch.no_grad()
    def decode(self, latents: Tensor, **_: Any) -> Tensor:
        """Images of latents [B, 4, h, w]."""
        images: Tensor = self._autoencoder.decode(latents.float()).sample
        return (images / 2 + 0.5).clamp(0, 1).movedim(1, -1)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Latents of images."""
        latents: Tensor = self._autoencoder.encode(images[..., :3].movedim(-1, 1) * 2 - 1)
        return latents.latent_dist.mean  # type: ignore[attr-defined, no-any-return]


def reference_model() -> tuple[Any, ReferenceText, ReferenceImages]:
    """MODEL, CLIP and VAE.

    Raises:
        MissingExtraError: diffusers is not installed.
        UnknownModelError: this installation does not hold the weights.
    """
    pipeline: Any = load_pipeline()
    factor = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    model = comfy_model(pipeline.unet, pipeline.vae.config.scaling_factor, factor)
    return model, ReferenceText(pipeline), ReferenceImages(pipeline.vae)


def comfy_model(unet: Any, scaling_factor: float = 0.18215, downscale: int = 8) -> Any:
    """A diffusers UNet of Stable Diffusion 1.x's kind, of any size, as ComfyUI's MODEL.

    Raises:
        InputError: it has weights that this kind does not have.
    """
    import comfy.latent_formats
    import comfy.model_base
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models
    import comfy.utils

    settings = _settings(unet.config)
    config = comfy.supported_models.SD15(settings)
    config.latent_format = comfy.latent_formats.SD15(scaling_factor)
    config.latent_format.spacial_downscale_ratio = downscale
    config.set_inference_dtype(torch.float32, None)
    base = comfy.model_base.BaseModel(config, device=torch.device("cpu"))
    theirs = unet.state_dict()
    names = comfy.utils.unet_to_diffusers(settings)
    weights = {ours: theirs[name] for name, ours in names.items() if name in theirs}
    if len(weights) != len(theirs):
        raise InputError(
            f"expected a UNet of Stable Diffusion 1.x's kind, {len(theirs) - len(weights)} weights "
            "have no place in it",
            "use the loaders of ComfyUI for other kinds",
        )
    base.diffusion_model.load_state_dict(weights)
    return comfy.model_patcher.ModelPatcher(
        base,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def _settings(config: Any) -> dict[str, Any]:
    """ComfyUI's description of a UNet, from that of diffusers."""
    layers, levels = config.layers_per_block, len(config.block_out_channels)
    down = [int("CrossAttn" in kind) for kind in config.down_block_types]
    up = [int("CrossAttn" in kind) for kind in reversed(config.up_block_types)]
    return {
        "image_size": 32,
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "model_channels": config.block_out_channels[0],
        "channel_mult": [c // config.block_out_channels[0] for c in config.block_out_channels],
        "num_res_blocks": [layers] * levels,
        "transformer_depth": [depth for depth in down for _ in range(layers)],
        "transformer_depth_output": [depth for depth in up for _ in range(layers + 1)],
        "transformer_depth_middle": 1,
        "num_heads": config.attention_head_dim,  # diffusers' name for it, by an old mistake
        "context_dim": config.cross_attention_dim,
        "use_spatial_transformer": True,
        "use_linear_in_transformer": False,
        "use_temporal_attention": False,
        "adm_in_channels": None,
        "legacy": False,
    }
