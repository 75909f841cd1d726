"""Whether a pipeline reads a negative prompt: many take one and go on as if there were none."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from diffusers import ClassifierFreeGuidance, ModularPipeline

from safegen.adapters.denoisers import called
from safegen.errors import SteeringError

_TRUE_CFG = "true_cfg_scale"  # of pipelines whose `guidance_scale` is something else


def unread(pipeline: Any, guidance_scale: float, more: Mapping[str, Any]) -> str:
    """Why a negative prompt changes nothing in a call; empty: it does change images.

    It acts in classifier-free guidance, in the place of the empty prompt, and nowhere else.

    Args:
        pipeline: what is called.
        guidance_scale: as it is called with.
        more: its further arguments, which go over what it does by default.
    """
    name = type(pipeline).__name__
    if isinstance(pipeline, ModularPipeline):
        return _unread_by_blocks(pipeline, name, guidance_scale)
    parameters = inspect.signature(type(pipeline).__call__).parameters
    if "negative_prompt" not in parameters:
        return f"{name} takes no negative prompt"
    true_cfg = more.get(_TRUE_CFG, parameters[_TRUE_CFG].default) if _TRUE_CFG in parameters else 0
    if _TRUE_CFG in parameters and true_cfg <= 1:
        return f"{name} reads a negative prompt at a {_TRUE_CFG} above 1, got {true_cfg:g}"
    config = getattr(called(pipeline), "config", None)
    if getattr(config, "time_cond_proj_dim", None) is not None:
        return f"the distilled model of this {name} reads no negative prompt"
    if _TRUE_CFG not in parameters and guidance_scale <= 1:
        return _too_low(name, guidance_scale)
    return ""


def _unread_by_blocks(pipeline: Any, name: str, guidance_scale: float) -> str:
    """The same of a modular pipeline, whose guider is given the guidance scale."""
    if "negative_prompt" not in pipeline.blocks.input_names:
        return f"{name} takes no negative prompt"
    guider = getattr(pipeline, "guider", None)
    if guider is None or type(guider) is not ClassifierFreeGuidance or not guider.config.enabled:
        guiding = type(guider).__name__
        return f"{name} reads one where ClassifierFreeGuidance is on, its guider is {guiding}"
    return "" if guidance_scale > 1 else _too_low(name, guidance_scale)


def _too_low(name: str, guidance_scale: float) -> str:
    return f"{name} reads a negative prompt at guidance scales above 1, got {guidance_scale:g}"


def unread_ever(pipeline: Any) -> str:
    """The same at the settings of a call that do most for one: empty where some make it act."""
    return unread(pipeline, math.inf, {_TRUE_CFG: math.inf})


def demand_read(pipeline: Any, guidance_scale: float, more: Mapping[str, Any]) -> None:
    """Check that a negative prompt will change images in a call, see `unread`.

    Raises:
        SteeringError: it will not.
    """
    if why := unread(pipeline, guidance_scale, more):
        raise SteeringError(
            f"the negative prompt would change nothing: {why}",
            "give none, raise the scale in the sampler, or use a pipeline that reads it",
        )
