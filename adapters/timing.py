"""Schedulers whose timesteps do not say how far the denoising is."""

from typing import Any

import torch

from safegen.errors import SteeringError
from safegen.steering.plan import Plan


def demand_timed(pipeline: Any, plan: Plan) -> None:
    """Check that a plan which goes by time meets a scheduler that tells it.

    EDM's kind and Euler's with continuous timesteps count in logarithms of the noise. What cannot
    be seen before the call, as some of them count otherwise once the number of steps is known,
    `Steering.using` sees at its end.

    Raises:
        SteeringError: its timesteps are not those that the model was trained with.
    """
    scheduler = getattr(pipeline, "scheduler", None)
    if scheduler is None or not plan.timed:
        return
    trained = scheduler.config.num_train_timesteps
    steps = torch.as_tensor(scheduler.timesteps)
    if bool(((steps < 0) | (steps > trained)).any()):
        raise SteeringError(
            f"the timesteps of {type(scheduler).__name__} run from {float(steps.max()):.4g} to "
            f"{float(steps.min()):.4g}, so that nothing tells a window, a bell or a gate how far "
            "the denoising is",
            "use a scheduler that counts in the timesteps of the training, or steer over the whole "
            "denoising, constantly and with an open gate",
        )
