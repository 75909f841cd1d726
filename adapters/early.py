"""An early look: what an image is going to be, seen while it is denoised, to end it if it must not.

At the step in question the scheduler's own prediction of the finished latents,

    x0 = (x_t - sigma·eps) / alpha        (of a flow: x0 = x_t - sigma·v)

is decoded by the pipeline's VAE. The batch itself is not touched: rows that go on come out exactly
as without the look, for the same numbers run through the same batch. So the work that is left is
saved when no row of the batch goes on.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from torch import Tensor

from safegen.adapters.decoding import decoded, finite_pictures
from safegen.adapters.replaced import replaced
from safegen.adapters.turns import turn
from safegen.errors import InputError


class AllStoppedError(Exception):
    """No row of the batch goes on; raised through the pipeline's loop."""


@dataclass
class EarlyLook:
    """When to look, and who decides; afterwards, which rows were stopped."""

    at: float
    """Fraction of the denoising, in [0, 1]."""
    stop: Callable[[Sequence[Image.Image]], Sequence[bool]]
    """From a preview of each image of the batch to whether it ends here."""
    stopped: list[bool] = field(default_factory=list)


@contextmanager
def looking(pipeline: Any, early: EarlyLook) -> Iterator[None]:
    """Look once, while the pipeline is called within the block, in the caller's `turn`.

    Raises:
        AllStoppedError: the look stopped every image.
        InputError: the pipeline gives no preview, or ended before the look.
    """
    scheduler, calls = pipeline.scheduler, 0
    step = scheduler.step

    def watched(output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        steps = _steps(pipeline)
        calls += 1
        if calls - 1 != min(steps - 1, int(early.at * steps)):
            return step(output, timestep, sample, *args, **kwargs)
        stepped = step(output, timestep, sample, *args, **kwargs | {"return_dict": True})
        predicted = _predicted(scheduler, stepped, output, sample)
        early.stopped = list(early.stop(decoded(pipeline, predicted)))
        if all(early.stopped):
            raise AllStoppedError
        return stepped if kwargs.get("return_dict", True) else stepped.to_tuple()

    with replaced(scheduler, "step", watched):
        yield
    if not early.stopped:
        raise InputError(
            f"the early look did not happen: {type(pipeline).__name__} ended after {calls} of "
            f"{_steps(pipeline)} steps",
            "leave early_look out of the policy",
        )


def _steps(pipeline: Any) -> int:
    """How many steps the pipeline takes: image-to-image begins late in its scheduler's."""
    counted = getattr(pipeline, "num_timesteps", None)  # which modular pipelines do not tell
    if counted is not None:
        return int(counted)
    begin = getattr(pipeline.scheduler, "begin_index", None) or 0
    return len(pipeline.scheduler.timesteps) - begin


def _predicted(scheduler: Any, stepped: Any, output: Tensor, sample: Tensor) -> Tensor:
    """The finished latents as the scheduler expects them at this step."""
    for name in ("pred_original_sample", "denoised"):
        predicted: Tensor | None = getattr(stepped, name, None)
        if predicted is not None:
            return predicted
    if type(scheduler).__name__.startswith("FlowMatchEuler"):
        sigma = scheduler.sigmas[scheduler.step_index - 1].to(sample)
        finished: Tensor = sample - sigma * output
        return finished
    if _keeps_predictions(scheduler):
        kept: Tensor = scheduler.model_outputs[-1]
        return kept
    raise InputError(
        f"an early look does not know what {type(scheduler).__name__} predicts",
        "leave early_look out of the policy, or use DDIM, DDPM, LCM, Euler, flow, DPM++ or UniPC",
    )


def _keeps_predictions(scheduler: Any) -> bool:
    """Whether it keeps predictions of the finished latents to work from, and not of the noise."""
    if not hasattr(scheduler, "model_outputs"):
        return False
    if hasattr(scheduler, "predict_x0"):  # UniPC, SA-Solver
        return bool(scheduler.predict_x0)
    # Not by the config alone: `from_config` carries over what another class was told.
    taken = inspect.signature(type(scheduler).__init__).parameters
    kind = getattr(scheduler.config, "algorithm_type", "")
    return "algorithm_type" in taken and kind in ("dpmsolver++", "sde-dpmsolver++")


def generated(
    pipeline: Any, early: EarlyLook | None, call: Callable[[], Any]
) -> list[Image.Image | None]:
    """The images of one call of a pipeline.

    None where an early look stopped one, or the pipeline's own safety checker found fault with it.

    Calls of one pipeline take turns.

    Raises:
        InputError: the pipeline gives no preview, ended before the look, or made pictures of
            values that are not finite.
    """
    with turn(pipeline), finite_pictures(pipeline):
        if early is None:
            return _passed(call())
        try:
            with looking(pipeline, early):
                images = _passed(call())
        except AllStoppedError:
            if hasattr(pipeline, "maybe_free_model_hooks"):  # not where it is modular
                pipeline.maybe_free_model_hooks()  # as the pipeline does at its end
            return [None] * len(early.stopped)
    return [None if stop else image for stop, image in zip(early.stopped, images, strict=True)]


def _passed(output: Any) -> list[Image.Image | None]:
    """The images of a pipeline's output, without the black ones that its safety checker left."""
    for name in ("nsfw_content_detected", "nsfw_detected"):
        faults = getattr(output, name, None)
        if faults is not None:
            pairs = zip(output.images, faults, strict=True)
            return [None if fault else image for image, fault in pairs]
    return list(output.images)
