"""Opening what is measured: the model, and all subjects on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safegen.errors import UnknownModelError
from safegen.evaluation.asked import Asked, Eyes, world_of
from safegen.evaluation.subjects import Answered, Progress
from safegen.evaluation.suite import Suite
from safegen.reference import open_pipeline

_PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


def open_bare(name: str, device: str = "cpu") -> Any:
    """The reference model by its name "reference", or a model by its folder or hub name.

    It comes without a safety checker of its own: that blackens what it flags, so that figures of
    the bare model would be those of a guard.

    Raises:
        UnknownModelError: there is no such model, it is not of the Stable Diffusion kind, or the
            device cannot hold it.
    """
    pipeline = open_pipeline(name, device)
    missing = [part for part in _PARTS if getattr(pipeline, part, None) is None]
    if missing:
        raise UnknownModelError(
            f"the model {name!r} is a {type(pipeline).__name__} without {', '.join(missing)}",
            "give a model of the Stable Diffusion kind",
        )
    if getattr(pipeline, "safety_checker", None) is not None:
        pipeline.register_modules(safety_checker=None)
    return pipeline


@dataclass(frozen=True)
class Opening:
    """What is measured, so that it can be opened here and in every actor alike; as `Suite`."""

    model: str
    asked: Asked
    eyes: Eyes
    policy: str = "default"
    vectors: str = "reference"
    published: str = "reference-published"
    steps: int = 20

    def suite(
        self, folder: Path, progress: Progress | None = None, answered: Answered | None = None
    ) -> Suite:
        """Open model and world; answers are kept in `folder`.

        Raises:
            SafeGenError: the model cannot be opened, or the world is not as it should be.
        """
        world = world_of(self.model, self.asked, self.eyes)  # first, for its mistakes are cheap
        return Suite(
            open_bare(self.model, self.eyes.device),
            world,
            folder,
            policy=self.policy,
            vectors=self.vectors,
            published=self.published,
            steps=self.steps,
            progress=progress,
            answered=answered,
        )
