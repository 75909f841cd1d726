"""From latents to pictures, as pipelines do it, and never from values that are not finite.

Those would be painted black, in which no detector finds anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from safegen.adapters.replaced import replaced
from safegen.errors import InputError


@torch.no_grad()
def decoded(pipeline: Any, latents: Tensor) -> list[Image.Image]:
    """The pictures that a pipeline would make of finished latents.

    Args:
        pipeline: whose VAE and image processor are used.
        latents: [B, C, h, w], as its scheduler predicts them.

    Raises:
        InputError: it is not known how the pipeline decodes, or the pictures are not finite.
    """
    if latents.ndim != 4 or not hasattr(pipeline, "image_processor"):
        raise InputError(
            f"an early look does not know how {type(pipeline).__name__} decodes its latents",
            "leave early_look out of the policy",
        )
    vae = pipeline.vae
    upcast = vae.dtype == torch.float16 and getattr(vae.config, "force_upcast", False)
    if upcast:  # its activations overflow in fp16
        vae.to(torch.float32)
    try:
        scaled = _unscaled(vae.config, latents.to(vae.dtype))
        with finite_pictures(pipeline):
            pictures = vae.decode(scaled, return_dict=False)[0]
            return list(pipeline.image_processor.postprocess(pictures, output_type="pil"))
    finally:
        if upcast:
            vae.to(torch.float16)


def _unscaled(config: Any, latents: Tensor) -> Tensor:
    """Latents as a VAE takes them, by what its configuration says of their statistics."""
    mean, std = (getattr(config, f"latents_{name}", None) for name in ("mean", "std"))
    if mean is not None and std is not None:
        mean, std = (latents.new_tensor(each).view(1, -1, 1, 1) for each in (mean, std))
        return latents * std / float(config.scaling_factor) + mean
    shift = float(getattr(config, "shift_factor", None) or 0.0)
    return latents / float(config.scaling_factor) + shift


@contextmanager
def finite_pictures(pipeline: Any) -> Iterator[None]:
    """Refuse to paint values that are not finite, within the block, in the caller's `turn`.

    Raises:
        InputError: the pipeline had such.
    """
    processor = getattr(pipeline, "image_processor", None)
    if processor is None or "postprocess" in vars(processor):  # within such a block already
        yield
        return
    postprocess = processor.postprocess

    def checked(image: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(image, Tensor) and not image.isfinite().all():
            raise InputError(
                f"{type(pipeline).__name__} made pictures of values that are not finite, which "
                "would be black",
                "run the model in float32 or bfloat16; fp16 overflows in some VAEs",
            )
        return postprocess(image, *args, **kwargs)

    with replaced(processor, "postprocess", checked):
        yield
