"""Whether a denoising was whole: an interrupted pipeline gives what it has, as if it were done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safegen.adapters.replaced import replaced
from safegen.errors import SteeringError


@contextmanager
def demand_whole(pipeline: Any) -> Iterator[None]:
    """Check that a call of `pipeline` within the block, in the caller's `turn`, makes every step.

    diffusers' own way to cancel a call, `pipeline._interrupt = True`, leaves out the steps that are
    left, and whoever set it may set it back at once. So the steps are counted.

    Raises:
        SteeringError: it was interrupted.
    """
    scheduler: Any = getattr(pipeline, "scheduler", None)
    made = 0
    step = getattr(scheduler, "step", None)
    if step is None:
        yield
        return

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal made
        made += 1
        return step(*args, **kwargs)

    with replaced(scheduler, "step", counted):
        yield
    asked = getattr(pipeline, "num_timesteps", None)  # None: one that cannot be interrupted
    if asked is None or made >= asked:
        return
    if made or getattr(pipeline, "interrupt", False):  # else it steps by another scheduler
        raise SteeringError(
            f"the pipeline was interrupted after {made} of {asked} steps, so that what it made is "
            "not finished",
            "ask again; whatever sets the pipeline's `_interrupt` ends its whole call",
        )
