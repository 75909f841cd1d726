"""The identity of a denoiser: a digest of its weights, the same in fp32 and fp16.

bfloat16 drops three of the bits that fp16 keeps, so there a model has another digest; passports
hold both.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from safegen.errors import SteeringError


def model_digest(denoiser: nn.Module, precision: torch.dtype = torch.float16) -> str:
    """sha256:… over names, shapes and values rounded to fp16.

    Rounded, so that a model loaded in fp32 from fp16 weights is the same model. LoRA weights loaded
    beside the model's own are left out: it is the same model under an adapter.

    Args:
        denoiser: its weights are read where accelerate keeps them, if they are offloaded.
        precision: that of the model whose digest is wanted, once this one is cast to it.

    Raises:
        SteeringError: some weights are not in memory.
    """
    own = {
        known: _in_memory(denoiser, name, tensor).detach().to("cpu", precision)
        for name, tensor in denoiser.state_dict().items()
        if (known := own_name(name))
    }
    return weights_digest(own)


def own_name(name: str) -> str:
    """The name of a weight as the model calls it without LoRAs; empty: it is a LoRA's."""
    return "" if ".lora_" in name else name.replace(".base_layer", "")


def _in_memory(denoiser: nn.Module, name: str, tensor: Tensor) -> Tensor:
    """The values of a weight, which sequential offload keeps beside the model."""
    if not tensor.is_meta:
        return tensor
    module, _, own = name.rpartition(".")
    hook = getattr(denoiser.get_submodule(module), "_hf_hook", None)
    for each in getattr(hook, "hooks", (hook,)):
        if (kept := getattr(each, "weights_map", None)) is not None:
            values: Tensor = kept[own]
            return values
    raise SteeringError(
        f"the weights of the {type(denoiser).__name__} are not in memory, such as {name!r}",
        "load them before you attach",
    )


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """The same, of weights by the names that diffusers gives them."""
    state = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().to("cpu", torch.float16).contiguous()
        state.update(f"{name}{tuple(values.shape)}".encode())
        state.update(values.numpy().tobytes())
    return f"sha256:{state.hexdigest()}"


def own_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a part of a pipeline is set to; by an underscore diffusers notes where that comes from.

    That is: the path or name it was loaded by, and the version that wrote it.
    """
    return {name: value for name, value in config.items() if not name.startswith("_")}
