"""The patch by which a model of ComfyUI lets a block's output be changed."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from safegen.adapters.comfyui.sites import Place

Change = Callable[[Tensor, dict[str, Any]], Tensor]  # of a block's output, by the run's options


def patch(model: Any, place: Place, change: Change) -> None:
    """Let `change` be called on what comes out of a block of `model`, behind other patches."""
    if place.kind == "double_block":
        options = model.model_options["transformer_options"]
        before = options.get("patches_replace", {}).get("dit", {}).get(place)
        model.set_model_patch_replace(_in_place_of_block(before, change), "dit", *place)
    elif place.kind == "input":
        model.set_model_input_block_patch_after_skip(_after_input(place, change))
    elif place.kind == "middle" and hasattr(model, "set_model_middle_block_after_patch"):
        model.set_model_middle_block_after_patch(_after_middle(change))
    else:  # the middle block's output is what comes to the first output block
        model.set_model_output_block_patch(_before_output(Place("output", place[1]), change))


def _after_middle(change: Change) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def called(given: dict[str, Any]) -> dict[str, Any]:
        return {"h": change(given["h"], given["transformer_options"])}

    return called


def _after_input(place: Place, change: Change) -> Callable[[Tensor, dict[str, Any]], Tensor]:
    def called(hidden: Tensor, options: dict[str, Any]) -> Tensor:
        return change(hidden, options) if options["block"] == place else hidden

    return called


def _before_output(
    place: Place, change: Change
) -> Callable[[Tensor, Any, dict[str, Any]], tuple[Tensor, Any]]:
    def called(hidden: Tensor, skip: Any, options: dict[str, Any]) -> tuple[Tensor, Any]:
        return change(hidden, options) if options["block"] == place else hidden, skip

    return called


def _in_place_of_block(
    before: Callable[..., Any] | None, change: Change
) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]:
    def called(given: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = before(given, extra) if before else extra["original_block"](given)
        return made | {"img": change(made["img"], given["transformer_options"])}

    return called
