"""Opening open_clip's models."""

from typing import Any

from safegen.errors import MissingExtraError, UnknownModelError
from safegen.forks import torch_runs


def open_model(model: str, pretrained: str, device: str, what: str) -> tuple[Any, Any, Any]:
    """A model for inference, its preprocessing of images, and its tokenizer.

    Args:
        model: an open_clip name, such as "ViT-B-32" or "local-dir:folder".
        pretrained: open_clip's tag for its weights, or a file of weights; empty: none.
        device: a torch device.
        what: needs it, for the error that says how to install open_clip.

    Raises:
        MissingExtraError: open_clip is not installed.
        UnknownModelError: open_clip cannot load the model with its weights.
        InputError: this process is a fork of one in which torch calculated.
    """
    try:
        import open_clip
    except ImportError as error:
        raise MissingExtraError("open_clip_torch", "clip", what) from error
    torch_runs(what)
    try:
        opened, preprocess = open_clip.create_model_from_pretrained(
            model, pretrained=pretrained or None, device=device
        )
        tokenize = open_clip.get_tokenizer(model)
    except Exception as error:  # open_clip raises whatever its loaders do
        raise UnknownModelError(
            f"open_clip cannot load {model!r} with weights {pretrained!r}: {error}",
            "see open_clip.list_pretrained() for names and tags, or give local-dir:<folder>",
        ) from error
    return opened.eval(), preprocess, tokenize
