"""What a diffusers pipeline is called with, for one image per prompt."""

import inspect
from collections.abc import Collection, Sequence
from typing import Any

import torch
from diffusers import ModularPipeline
from PIL import Image

from safegen.adapters.denoisers import uncompiled
from safegen.adapters.sampler import Sampler
from safegen.arguments import demand_each
from safegen.errors import InputError

_FOR_IP_ADAPTERS = ("ip_adapter_image", "negative_ip_adapter_image")  # of one: for all images
_CROP = "padding_mask_crop"  # with which pipelines take no list of pictures


def call_arguments(
    prompts: Sequence[str],
    seeds: Sequence[int],
    sampler: Sampler,
    negative_prompts: Sequence[str] | None,
    pipeline: Any = None,
) -> dict[str, Any]:
    """What a pipeline is called with for one image per prompt, each from its own seed.

    Args:
        prompts: one for each image.
        seeds: one for each image.
        sampler: the settings of all.
        negative_prompts: one for each image, or none at all.
        pipeline: what is called: with several ControlNets or IP-Adapters, each is given the
            sampler's picture.

    Raises:
        InputError: the numbers of prompts, seeds and negative prompts differ, one text stands for a
            list of them, or the pipeline takes one image at a time with these settings.
    """
    demand_each("prompts", prompts, str, "put a single prompt into a list: [prompt]")
    demand_each("negative_prompts", negative_prompts or (), str, "put a single one into a list")
    if len(seeds) != len(prompts) or len(negative_prompts or prompts) != len(prompts):
        raise InputError(
            f"expected a seed, and a negative prompt or none, for each of {len(prompts)} prompts, "
            f"got {len(seeds)} seeds and {len(negative_prompts or ())} negative prompts",
            "give one for each image",
        )
    given = {"negative_prompt": list(negative_prompts)} if negative_prompts else {}
    cropped = sampler.more.get(_CROP) is not None
    if cropped and len(prompts) > 1:
        raise InputError(
            f"with {_CROP!r} a pipeline makes one image at a time, {len(prompts)} were asked for",
            "ask for each image in a request of its own",
        )
    copies = dict.fromkeys(sampler.more, 0 if cropped else len(prompts))
    copies |= _for_ip_adapters(pipeline) | _for_nets(pipeline)
    more = {
        name: [value] * copies[name] if isinstance(value, Image.Image) and copies[name] else value
        for name, value in sampler.more.items()
    }
    return (
        more
        | given
        | {
            "prompt": list(prompts),
            "num_inference_steps": sampler.steps,
            "guidance_scale": sampler.guidance_scale,
            "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
        }
    )


def edits(pipeline: Any, pictures: Collection[str]) -> bool:
    """Whether a pipeline changes one of the pictures that it is given, by their names.

    Masks and `image` are of what is changed, but to pipelines of ControlNets and the like that
    begin with noise: to them `image` is what conditions, which elsewhere has a name of its own.
    """
    if any("mask" in name for name in pictures):
        return True
    if "image" not in pictures:
        return False
    if isinstance(pipeline, ModularPipeline):
        taken: Collection[str] = pipeline.blocks.input_names
    else:
        taken = inspect.signature(type(pipeline).__call__).parameters
    conditions = any(name.endswith("conditioning_scale") for name in taken)
    return "strength" in taken or not conditions


def _for_ip_adapters(pipeline: Any) -> dict[str, int]:
    """The arguments that take a picture for each of several IP-Adapters, and how many they are.

    0: there are not several, and the picture is given as it is.
    """
    projected = getattr(uncompiled(pipeline), "encoder_hid_proj", None)
    loaded = len(getattr(projected, "image_projection_layers", ()))
    return dict.fromkeys(_FOR_IP_ADAPTERS, loaded if loaded > 1 else 0)


def _for_nets(pipeline: Any) -> dict[str, int]:
    """The argument that takes a picture for each of several ControlNets, and how many they are."""
    nets = getattr(getattr(pipeline, "controlnet", None), "nets", None)
    if nets is None:
        return {}
    taken = inspect.signature(type(pipeline).__call__).parameters
    return {"control_image" if "control_image" in taken else "image": len(nets)}
