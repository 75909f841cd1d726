"""Modular pipelines: their guider says how far, and by which calls of the denoiser, they guide."""

from collections.abc import Callable, Mapping
from typing import Any

from diffusers import ClassifierFreeGuidance

from safegen.errors import InputError, UnknownModelError
from safegen.steering.layout import SPLIT, UNGUIDED, Rows


def guided(pipeline: Any, call: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """`call(**arguments)`, guided as far as they say, by the guider where there is one.

    A pipeline with a guider would ignore `guidance_scale`. The guider is as before afterwards; as
    in other pipelines, a scale of 1 or less is none.

    Args:
        pipeline: what `call` calls, in the caller's `turn`.
        call: the pipeline, or what calls it.
        arguments: of a pipeline's call, with `guidance_scale`.

    Raises:
        InputError: its guider has no such scale.
    """
    guider = getattr(pipeline, "guider", None)
    if guider is None:
        return call(**arguments)
    if not hasattr(guider, "guidance_scale"):
        raise InputError(
            f"{type(guider).__name__} has no guidance scale to set",
            "use a guider that has one, such as ClassifierFreeGuidance",
        )
    before, others = guider.guidance_scale, dict(arguments)
    scale = others.pop("guidance_scale")
    none = 0.0 if getattr(guider, "use_original_formulation", False) else 1.0
    guider.guidance_scale = scale if scale > 1 else none
    try:
        return call(**others)
    finally:
        guider.guidance_scale = before


def guider_calls(guider: Any) -> tuple[tuple[Rows, ...], ...]:
    """The layouts of the calls that make up one step: one per condition.

    Raises:
        UnknownModelError: the guider calls the denoiser in ways that steering does not know.
    """
    config = guider.config
    if type(guider) is not ClassifierFreeGuidance or (config.start, config.stop) != (0, 1):
        raise UnknownModelError(
            f"steering does not know how {type(guider).__name__} calls the denoiser",
            "use ClassifierFreeGuidance over the whole denoising (start 0, stop 1)",
        )
    return SPLIT if guider.num_conditions == 2 else (UNGUIDED,)
