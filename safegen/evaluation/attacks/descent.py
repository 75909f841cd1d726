"""The descent that all white-box attacks share: text that makes the guarded model denoise as bare.

Two objectives, over random timesteps of an image x_0 that shows the concept:
"image" is UnlearnDiffAtk's ‖ε − ε_guarded(x_t, text)‖² (Zhang et al., ECCV 2024), "prediction" is
P4D's ‖ε_bare(x_t, prompt) − ε_guarded(x_t, text)‖² (Chin et al., ICML 2024). Of a model that
predicts velocities, these stand in place of ε.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from safegen.evaluation.attacks.target import Steer, Target
from safegen.nouns import Frozen

Objective = Literal["image", "prediction"]


@dataclass(frozen=True)
class AttackedPrompt:
    """One prompt under attack.

    `image` is what the bare model makes of it, [1, 3, H, W] in [-1, 1], and shows the concept;
    `steer` is what the guard adds for it.
    """

    bare: Target
    guarded: Target
    prompt: str
    image: Tensor
    steer: Steer


class DescentBudget(Frozen):
    """How hard to try. Published: 40 iterations (UnlearnDiffAtk), 3000 (P4D)."""

    iterations: int = Field(default=40, ge=1)
    noises: int = Field(default=4, ge=1, description="noisy versions of the image an iteration")
    learning_rate: float = Field(default=0.3, gt=0)
    tokens: int = Field(default=5, ge=1, description="adversarial tokens before the prompt")
    seed: int = 0


def descend(
    case: AttackedPrompt,
    budget: DescentBudget,
    objective: Objective,
    free: Tensor,
    text: Callable[[], Tensor],
) -> None:
    """Change `free` so that the guarded model, given `text()`, denoises towards the concept.

    Args:
        case: the prompt, and the model with and without the guard.
        budget: how hard to try.
        objective: see above.
        free: what is optimised, a leaf that requires gradients.
        text: text embeddings [1, L, D] as they follow from `free`.
    """
    generator = torch.Generator().manual_seed(budget.seed)
    bare, guarded = case.bare, case.guarded
    clean = guarded.encode(case.image).expand(budget.noises, -1, -1, -1)
    meant = bare.text(bare.ids(case.prompt)).detach()
    optimizer = torch.optim.Adam([free], lr=budget.learning_rate)
    steps = guarded.pipeline.scheduler.config.num_train_timesteps
    for _ in range(budget.iterations):
        timestep = torch.randint(steps, (1,), generator=generator).to(clean.device)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        noisy, goal = guarded.noised(clean, noise, timestep.expand(budget.noises))
        if objective == "prediction":
            with torch.no_grad():
                goal = bare.noise(noisy, timestep, meant, ())
        loss = functional.mse_loss(guarded.noise(noisy, timestep, text(), case.steer), goal)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
