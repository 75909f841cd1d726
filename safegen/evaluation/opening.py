"""Opening what is measured: the model, its world, and all subjects on it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safegen.errors import InputError, UnknownModelError
from safegen.evaluation.asked import Asked, Judges
from safegen.evaluation.photographic import photographic_world
from safegen.evaluation.subjects import Progress
from safegen.evaluation.suite import Suite
from safegen.evaluation.worlds import World, reference_world
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


def world_of(model: str, asked: Asked, judged_by: Judges) -> World:
    """What `model` is asked, and its judges, who are loaded when they are first asked.

    Raises:
        InputError: a file is not as it should be, there is no such attribute or category, or the
            reference model is to be asked what only photographic models are.
    """
    if model == "reference":
        world = reference_world()
        if given := sorted({*asked.files, *(["against"] if asked.against else [])}):
            raise InputError(
                f"the reference model has prompts and judges of its own, got --{given[0]}",
                "leave it out, or give --model a photographic model",
            )
    else:
        world = photographic_world(asked, judged_by)
    if unknown := [each for each in asked.attributes if each not in world.groups]:
        raise InputError(
            f"there is no attribute {unknown[0]!r}", f"choose from: {', '.join(world.groups)}"
        )
    names = asked.attributes or world.usual
    return replace(
        world,
        groups={name: world.groups[name] for name in names},
        guidance_scale=asked.guidance_scale or world.guidance_scale,
    )


@dataclass(frozen=True)
class Opening:
    """What is measured, so that it can be opened here and in every actor alike; as `Suite`."""

    model: str
    asked: Asked
    judged_by: Judges
    policy: str = "default"
    vectors: str = "reference"
    published: str = "reference-published"
    steps: int = 20

    def suite(self, folder: Path, progress: Progress | None = None) -> Suite:
        """Open model and world; answers are kept in `folder`.

        Raises:
            SafeGenError: the model cannot be opened, or the world is not as it should be.
        """
        world = world_of(
            self.model, self.asked, self.judged_by
        )  # first, for its mistakes are cheap
        return Suite(
            open_bare(self.model, self.judged_by.device),
            world,
            folder,
            policy=self.policy,
            vectors=self.vectors,
            published=self.published,
            steps=self.steps,
            progress=progress,
        )
