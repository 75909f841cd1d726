"""The identity of a denoiser: a digest of its weights, the same in every precision it is run in."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn


def model_digest(denoiser: nn.Module) -> str:
    """sha256:… over names, shapes and values rounded to fp16.

    Rounded, so that a model loaded in fp32 from fp16 weights is the same model. LoRA weights loaded
    beside the model's own are left out: it is the same model under an adapter.
    """
    own = {
        name.replace(".base_layer", ""): tensor
        for name, tensor in denoiser.state_dict().items()
        if ".lora_" not in name
    }
    return weights_digest(own)


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """The same, of weights by the names that diffusers gives them."""
    state = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().to("cpu", torch.float16).contiguous()
        state.update(f"{name}{tuple(values.shape)}".encode())
        state.update(values.numpy().tobytes())
    return f"sha256:{state.hexdigest()}"
