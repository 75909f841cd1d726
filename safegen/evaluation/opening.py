"""Opening the model that is measured."""

from typing import Any

from safegen import reference
from safegen.errors import UnknownModelError

_PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


def open_bare(name: str, device: str = "cpu") -> Any:
    """The reference model by its name "reference", or a model by its folder or hub name.

    It comes without a safety checker of its own: that blackens what it flags, so that figures of
    the bare model would be those of a guard.

    Raises:
        UnknownModelError: there is no such model, it is not of the Stable Diffusion kind, or the
            device cannot hold it.
    """
    from safegen.adapters.diffusers import load_pipeline, moved

    pipeline: Any = reference.load_pipeline() if name == "reference" else load_pipeline(name)
    missing = [part for part in _PARTS if getattr(pipeline, part, None) is None]
    if missing:
        raise UnknownModelError(
            f"the model {name!r} is a {type(pipeline).__name__} without {', '.join(missing)}",
            "give a model of the Stable Diffusion kind",
        )
    if getattr(pipeline, "safety_checker", None) is not None:
        pipeline.register_modules(safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return moved(pipeline, device)
