"""Where ComfyUI's models are steered, under the names that SafeGen's vectors know."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from safegen.concepts.digest import weights_digest
from safegen.errors import SteeringError
from safegen.steering.site import MID_BLOCK

# Class of transformer -> its list of blocks that can be replaced as ("double_block", i).
_TRANSFORMERS = {
    "comfy.ldm.flux.model.Flux": "double_blocks",
    "comfy.ldm.modules.diffusionmodules.mmdit.OpenAISignatureMMDITWrapper": "joint_blocks",
}
_DIGESTS: "WeakKeyDictionary[Any, str]" = WeakKeyDictionary()


class Place(NamedTuple):
    """Where a site is in ComfyUI's count of blocks.

    `input`: what goes on from that input block; `middle`: from the middle block; `output`: what
    comes to that output block; `double_block`: the image stream of that transformer block.
    """

    kind: Literal["input", "middle", "output", "double_block"]
    number: int


def place_of(network: Any, site: str) -> Place:
    """Where `site` of a vector's passport is: "mid_block", "up_blocks.0", "transformer_blocks.3:1".

    Args:
        network: ComfyUI's UNet or transformer.
        site: its name in diffusers.

    Raises:
        SteeringError: the network has no such site, or its class offers no way to it.
    """
    if getattr(network, "middle_block", None) is not None and hasattr(network, "output_blocks"):
        places = _unet_places(network)
    else:
        places = _transformer_places(network)
    if site not in places:
        raise SteeringError(
            f"ComfyUI offers no way to the site {site!r} of {type(network).__name__}",
            f"use vectors that were learned at {', '.join(places)}",
        )
    return places[site]


def _unet_places(unet: Any) -> dict[str, Place]:
    """A level of diffusers is its layers and, but for the last, a change of size."""
    levels = [layers + 1 for layers in unet.num_res_blocks]
    down = {f"down_blocks.{i}": n for i, n in enumerate(accumulate(levels))}
    down[f"down_blocks.{len(levels) - 1}"] -= 1
    up = [(f"up_blocks.{i}", n) for i, n in enumerate(accumulate(reversed(levels)))]
    return {
        MID_BLOCK: Place("middle", 0),
        **{site: Place("output", n) for site, n in up[:-1]},  # nothing can follow the last one
        **{site: Place("input", n) for site, n in down.items()},
    }


def _transformer_places(transformer: Any) -> dict[str, Place]:
    kind = f"{type(transformer).__module__}.{type(transformer).__qualname__}"
    if kind not in _TRANSFORMERS:
        raise SteeringError(
            f"the model {kind} cannot be steered in ComfyUI",
            "supported are UNets with a middle block (Stable Diffusion 1.x, 2.x, XL), FLUX and "
            "Stable Diffusion 3; leave Steer Model out under a policy with `steering: optional`",
        )
    blocks = getattr(transformer, _TRANSFORMERS[kind])
    return {f"transformer_blocks.{i}:1": Place("double_block", i) for i in range(len(blocks))}


def model_digest(model: Any) -> str:
    """The digest of a MODEL's own weights, the same as that of the same model in diffusers.

    Weights of a LoRA are no part of it. It is "" for a model whose weights SafeGen cannot name as
    diffusers does: transformers, and UNets with parts of their own; and for one that another was
    merged into.
    """
    if any(isinstance(patch[1], list) for each in model.patches.values() for patch in each):
        return ""  # a LoRA's patches are adapters; those of a merge, another model's weights
    if model.model not in _DIGESTS:
        _DIGESTS[model.model] = _digest(model)
    return _DIGESTS[model.model]


def patches(options: Mapping[str, Any]) -> frozenset[str]:
    """By whose code the blocks of a model are patched, and where, from its transformer options."""
    found, open_ = set(), [(name, options.get(name)) for name in ("patches", "patches_replace")]
    while open_:
        where, value = open_.pop()
        if isinstance(value, Mapping):
            open_ += [(f"{where}/{key}", inner) for key, inner in value.items()]
        elif isinstance(value, list):
            open_ += [(where, inner) for inner in value]
        elif value is not None:
            name = getattr(value, "__qualname__", type(value).__qualname__)
            found.add(f"{where} {getattr(value, '__module__', '')}.{name}")
    return frozenset(found)


def _digest(model: Any) -> str:
    import comfy.utils

    base = model.model
    weights = base.diffusion_model.state_dict()
    for key, kept in model.backup.items():  # what a LoRA was merged into
        name = key.removeprefix("diffusion_model.")
        if name in weights:
            weights[name] = kept.weight
    names = comfy.utils.unet_to_diffusers(base.model_config.unet_config)
    named = {
        theirs: weights[ours]
        for theirs, ours in names.items()
        # The map gives one layer two names, of which diffusers' XL has the other.
        if ours in weights and not theirs.startswith("class_embedding.")
    }
    return weights_digest(named) if len(named) == len(weights) else ""
