"""The reference model: a small, real latent diffusion model of Stable Diffusion's own anatomy.

It runs anywhere, offline, in seconds, so that the effect of a rule or a vector can be tested where
no model hub can be reached. Its world and its biases are documented in `safegen.reference.world`.
"""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

_FOLDER = Path(str(files("safegen.reference")))
WEIGHTS = _FOLDER / "weights"
CONCEPTS = _FOLDER / "concepts.yaml"


def load_pipeline() -> "StableDiffusionPipeline":
    """Load the shipped pipeline in float32, offline.

    Raises:
        MissingExtraError: diffusers is not installed.
        UnknownModelError: this installation does not hold the weights, or they are damaged.
    """
    from safegen.errors import MissingExtraError, UnknownModelError
    from safegen.shipped import damage

    try:
        import torch
        from diffusers import StableDiffusionPipeline
    except ImportError as error:
        raise MissingExtraError("diffusers", "diffusers", "the reference model") from error
    folder = WEIGHTS / "pipeline"
    if found := damage(folder):
        raise UnknownModelError(
            found, "install SafeGen from a wheel, or train them: safegen reference train"
        )
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, safety_checker=None
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def open_pipeline(name: str, device: str = "cpu") -> Any:
    """The reference model by its name "reference", or any diffusers pipeline by folder or hub name.

    Raises:
        MissingExtraError: diffusers is not installed.
        UnknownModelError: there is no such model, or the device cannot hold it.
    """
    from safegen.errors import MissingExtraError

    try:
        from safegen.adapters import diffusers
    except ImportError as error:
        raise MissingExtraError("diffusers", "diffusers", "generating images") from error
    pipeline: Any = load_pipeline() if name == "reference" else diffusers.load_pipeline(name)
    pipeline.set_progress_bar_config(disable=True)
    return diffusers.moved(pipeline, device)
