"""The forward process of the training: x_t = α_t·x_0 + σ_t·ε, and what is to be predicted of it.

A sampler's own `add_noise` may know the timesteps of its last run alone (DPM-Solver's), so it is
not asked.
"""

from typing import Any

from diffusers import DDPMScheduler
from torch import Tensor


def noised(config: Any, clean: Tensor, noise: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """x_t, and the network's target for it: ε, or the velocity α_t·ε − σ_t·x_0.

    Args:
        config: of the pipeline's scheduler.
        clean: x_0, latents [B, C, h, w].
        noise: ε, shaped alike.
        timesteps: of the training, [B].
    """
    process = DDPMScheduler.from_config(config)
    noisy: Tensor = process.add_noise(clean, noise, timesteps)
    if process.config.prediction_type != "v_prediction":
        return noisy, noise
    velocity: Tensor = process.get_velocity(clean, noise, timesteps)
    return noisy, velocity
