"""What SafeGen must know of each kind of diffusers denoiser: its time, its inputs, its layouts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    FluxTransformer2DModel,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)
from torch import Tensor, nn

from safegen.errors import SafeGenError, UnknownModelError

_TEXT_LENGTH = 77
_ANY_SIZE = 64  # of latents, for a UNet that names none


@dataclass(frozen=True)
class Kind:
    """One class of denoiser.

    `timesteps` is its timestep of pure noise, `probe` gives random inputs of a number of rows, and
    `guidance_doubles` says whether its pipelines give it an unconditional row beside each
    conditional one when guidance is on.
    """

    timesteps: float
    probe: Callable[[Any, int], dict[str, Any]]
    guidance_doubles: bool = True


def kind_of(denoiser: nn.Module) -> Kind:
    """The kind of a denoiser.

    Raises:
        UnknownModelError: its class is not supported.
    """
    for cls, kind in _KINDS.items():
        if isinstance(denoiser, cls):
            return kind
    raise UnknownModelError(
        f"no support for the denoiser {type(denoiser).__name__}",
        f"supported are {', '.join(cls.__name__ for cls in _KINDS)}; others: safegen docs steering",
    )


def called(pipeline: Any) -> Any:
    """What a pipeline calls to denoise: its UNet or transformer, or a compiled form of it."""
    unet = getattr(pipeline, "unet", None)  # which torch's compiled form gives no truth value
    return getattr(pipeline, "transformer", None) if unet is None else unet


def uncompiled(pipeline: Any) -> Any:
    """What a pipeline calls to denoise, itself where a compiled form of it is called."""
    return getattr(called(pipeline), "_orig_mod", called(pipeline))


def find_denoiser(pipeline: Any) -> nn.Module:
    """The UNet or transformer of a pipeline, uncompiled.

    Raises:
        UnknownModelError: it has none that is supported.
    """
    denoiser = uncompiled(pipeline)
    if not isinstance(denoiser, nn.Module):
        raise UnknownModelError(
            f"{type(pipeline).__name__} has no UNet or transformer to steer",
            "use a diffusers pipeline; for other samplers see: safegen docs steering",
        )
    kind_of(denoiser)
    return denoiser


def probe(denoiser: nn.Module, call: Callable[..., Any], rows: int) -> Tensor:
    """What the denoiser predicts for `rows` equal random samples.

    Args:
        denoiser: the module that says what its inputs look like.
        call: what is called: the module, or a compiled form of it.
        rows: size of the batch.

    Raises:
        UnknownModelError: it takes more than random inputs.
    """
    try:
        output: Tensor = call(**kind_of(denoiser).probe(denoiser, rows), return_dict=False)[0]
    except (SafeGenError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # diffusers raises whatever it meets
        raise UnknownModelError(
            f"the self-test cannot call the denoiser {type(denoiser).__name__} by random inputs: "
            f"{type(error).__name__}: {error}",
            "it takes more than steering knows of; with `steering: optional` in the policy, a "
            "guard runs it unsteered",
        ) from error
    return output


class _Noise:
    """Equal random rows in the dtype and on the device of a denoiser."""

    def __init__(self, denoiser: Any, rows: int) -> None:
        self._generator = torch.Generator().manual_seed(0)
        self._rows = rows
        self._like = {"device": denoiser.device, "dtype": denoiser.dtype}

    def __call__(self, *shape: int) -> Tensor:
        one = torch.randn(1, *shape, generator=self._generator)
        return one.repeat(self._rows, *[1] * len(shape)).to(**self._like)


def _unet(unet: Any, rows: int) -> dict[str, Any]:
    noise, config = _Noise(unet, rows), unet.config
    if config.encoder_hid_dim_type == "ip_image_proj":
        raise UnknownModelError(
            "the UNet has an IP-Adapter, which takes pictures that the self-test does not have",
            "attach before load_ip_adapter(): what is loaded later changes nothing about steering",
        )
    size = _width(config.sample_size or _ANY_SIZE)
    inputs: dict[str, Any] = {
        "sample": noise(config.in_channels, size, size),
        "timestep": torch.tensor(500, device=unet.device),
        "encoder_hidden_states": noise(_TEXT_LENGTH, _width(config.cross_attention_dim)),
    }
    if config.addition_embed_type == "text_time":  # SDXL
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        inputs["added_cond_kwargs"] = {"text_embeds": noise(pooled), "time_ids": noise(6)}
    if config.time_cond_proj_dim is not None:  # LCM and kin: guidance as an input
        inputs["timestep_cond"] = noise(config.time_cond_proj_dim)
    return inputs


def _width(dim: int | Sequence[int]) -> int:
    return dim if isinstance(dim, int) else dim[0]


def _square(transformer: Any, noise: _Noise, text_width: int) -> dict[str, Any]:
    """Inputs that every transformer on square latents takes."""
    config = transformer.config
    hidden = noise(config.in_channels, config.sample_size, config.sample_size)
    return {
        "hidden_states": hidden,
        "timestep": torch.full((len(hidden),), 500.0, device=transformer.device),
        "encoder_hidden_states": noise(_TEXT_LENGTH, text_width),
    }


def _sd3(transformer: Any, rows: int) -> dict[str, Any]:
    noise, config = _Noise(transformer, rows), transformer.config
    inputs = _square(transformer, noise, config.joint_attention_dim)
    return inputs | {"pooled_projections": noise(config.pooled_projection_dim)}


def _flux(transformer: Any, rows: int) -> dict[str, Any]:
    noise, config, side = _Noise(transformer, rows), transformer.config, 8
    places = torch.cartesian_prod(torch.zeros(1), *[torch.arange(float(side))] * 2)
    like = {"device": transformer.device, "dtype": transformer.dtype}
    inputs = {
        "hidden_states": noise(side * side, config.in_channels),
        "timestep": torch.full((rows,), 0.5, **like),
        "encoder_hidden_states": noise(_TEXT_LENGTH, config.joint_attention_dim),
        "pooled_projections": noise(config.pooled_projection_dim),
        "img_ids": places.to(**like),
        "txt_ids": torch.zeros(_TEXT_LENGTH, 3, **like),
    }
    if config.guidance_embeds:
        inputs["guidance"] = torch.full((rows,), 3.5, **like)
    return inputs


def _pixart(transformer: Any, rows: int) -> dict[str, Any]:
    noise = _Noise(transformer, rows)
    inputs = _square(transformer, noise, transformer.config.caption_channels)
    added: dict[str, Any] = {"resolution": None, "aspect_ratio": None}
    if transformer.use_additional_conditions:  # PixArt-Alpha of 1024 pixels
        added = {"resolution": noise(2), "aspect_ratio": noise(1)}
    return inputs | {"added_cond_kwargs": added}


_KINDS: dict[type[nn.Module], Kind] = {
    UNet2DConditionModel: Kind(1000, _unet),
    SD3Transformer2DModel: Kind(1000, _sd3),
    # Its pipeline divides timesteps by 1000, and guidance is an input, not a second row.
    FluxTransformer2DModel: Kind(1, _flux, guidance_doubles=False),
    PixArtTransformer2DModel: Kind(1000, _pixart),
}
