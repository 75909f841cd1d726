"""Whether a pipeline reads a negative prompt: many take one and go on as if there were none."""

import inspect
from typing import Any

from diffusers import ClassifierFreeGuidance, ModularPipeline
from safegen.adapters.denoisers import called

from safegen.errors import SteeringError


def unread(pipeline: Any, guidance_scale: float) -> str:
    """Why a negative prompt changes nothing at this guidance scale; empty: it does change images.

    It acts in classifier-free guidance, in the place of the empty prompt, and nowhere else.
    """
    name = type(pipeline).__name__
    if isinstance(pipeline, ModularPipeline):
        return _unread_by_blocks(pipeline, name, guidance_scale)
    parameters = inspect.signature(type(pipeline).__call__).parameters
    if "negative_prompt" not in parameters:
        return f"{name} takes no negative prompt"
    if "true_cfg_scale" in parameters and parameters["true_cfg_scale"].default <= 1:
        return f"{name} reads a negative prompt only with a true_cfg_scale, which is not set"
    config = getattr(called(pipeline), "config", None)
    if getattr(config, "time_cond_proj_dim", None) is not None:
        return f"the distilled model of this {name} reads no negative prompt"
    if "true_cfg_scale" not in parameters and guidance_scale <= 1:
        return _too_low(name, guidance_scale)
    return ""


def _unread_by_blocks(pipeline: Any, name: str, guidance_scale: float) -> str:
    """The same of a modular pipeline, whose guider is given the guidance scale."""
    if "negative_prompt" not in pipeline.blocks.input_names:
        return f"{name} takes no negative prompt"
    guider = getattr(pipeline, "guider", None)
    if type(guider) is not ClassifierFreeGuidance or not guider.config.enabled:
        guiding = type(guider).__name__
        return f"{name} reads one where ClassifierFreeGuidance is on, its guider is {guiding}"
    return "" if guidance_scale > 1 else _too_low(name, guidance_scale)


def _too_low(name: str, guidance_scale: float) -> str:
    return f"{name} reads a negative prompt at guidance scales above 1, got {guidance_scale:g}"


def demand_read(pipeline: Any, guidance_scale: float) -> None:
    """Check that a negative prompt will change images.

    Raises:
        SteeringError: it will not.
    """
    if why := unread(pipeline, guidance_scale):
        raise SteeringError(
            f"the negative prompt would change nothing: {why}",
            "give none, raise the guidance scale, or use a pipeline that reads it",
        )
