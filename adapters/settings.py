"""How a pipeline that makes images is set up: what decides beside weights, plan and sampler."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from safegen.adapters.denoisers import uncompiled

_FREEU = ("s1", "s2", "b1", "b2")


def settings(pipeline: Any) -> dict[str, str]:
    """What is set, for the record: `scheduler`, `adapters`, `freeu` and `torch`.

    Schedulers are told by class and a digest of their configuration; adapters, which are LoRAs and
    the like by their names and IP-Adapters by their numbers, with a digest of how strong each is in
    every layer; their weights are not looked at. `torch` is its version and, on a CPU, how many
    threads it has, both of which decide an image's last bits. What is not there is left out.
    """
    told = {"scheduler": _scheduler(pipeline), "adapters": _adapters(pipeline)}
    told |= {"freeu": _freeu(uncompiled(pipeline)), "torch": _torch(pipeline)}
    return {name: what for name, what in told.items() if what}


def _scheduler(pipeline: Any) -> str:
    scheduler = getattr(pipeline, "scheduler", None)
    config = getattr(scheduler, "config", None)
    if not isinstance(config, Mapping):
        return ""
    known = {name: value for name, value in config.items() if not name.startswith("_")}
    return f"{type(scheduler).__name__} {_digest(known)}"


def _adapters(pipeline: Any) -> str:
    found = {
        f"{part}.{name.replace('_orig_mod.', '')}": strengths  # compiled or not, it is the same
        for part, module in vars(pipeline).items()
        if isinstance(module, nn.Module)
        for name, layer in module.named_modules()
        if (strengths := dict(_strengths(layer)))
    }
    names = sorted({name for strengths in found.values() for name in strengths})
    return f"{', '.join(names)} {_digest(found)}" if names else ""


def _strengths(layer: nn.Module) -> Iterator[tuple[str, Any]]:
    """The adapters in force in a layer, PEFT's or IP-Adapters, and how strong each is there."""
    scaling = vars(layer).get("scaling")
    if isinstance(scaling, dict) and not getattr(layer, "disable_adapters", False):
        for name in getattr(layer, "active_adapters", ()):
            if name in scaling:
                yield name, float(scaling[name])
    if hasattr(layer, "to_k_ip"):  # a processor of attention, which all IP-Adapters share
        scales = layer.scale if isinstance(layer.scale, list) else [layer.scale]
        for number, scale in enumerate(scales):
            yield f"ip-adapter {number}", scale


def _freeu(denoiser: Any) -> str:
    for block in getattr(denoiser, "up_blocks", ()):
        found = {name: getattr(block, name, None) for name in _FREEU}
        if all(found.values()):
            return " ".join(f"{name}={value:g}" for name, value in found.items())
    return ""


def _torch(pipeline: Any) -> str:
    device = getattr(pipeline, "_execution_device", None)  # which offloading leaves as it is
    threads = f", threads={torch.get_num_threads()}" if getattr(device, "type", "") == "cpu" else ""
    return f"{torch.__version__}{threads}"


def _digest(of: Mapping[str, Any]) -> str:
    told = json.dumps(of, sort_keys=True, default=str)
    return f"sha256:{hashlib.sha256(told.encode()).hexdigest()}"
