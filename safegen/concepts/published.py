"""The checkpoint format of the published code (Li et al., CVPR 2024): read and written.

One `unet.pth`, a torch state dict with `controlnet.fc1.weight` of shape [C·H·W, n], a column for
each concept, and one `concept_dict.json` that says which column is which. Nothing in them tells of
the model, the prompts or the licence.
"""

import datetime
import hashlib
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from safegen.concepts.arithmetic import demand_one_model
from safegen.concepts.store import demand_free, own_folder
from safegen.concepts.vector import Array, ConceptVector, Passport
from safegen.errors import ConceptError, MissingExtraError, OutputError
from safegen.files import write_file

CHECKPOINT, CONCEPTS = "unet.pth", "concept_dict.json"
_WEIGHT = "controlnet.fc1.weight"
_SITE = "mid_block"


def load_published(
    checkpoint: Path,
    concepts: Path,
    *,
    channels: int,
    model_digest: str,
    licence: str,
    model_digest_bfloat16: str = "",
) -> dict[str, ConceptVector]:
    """The vectors of a published checkpoint, at the mid block.

    Args:
        checkpoint: `unet.pth`; only tensors are read, nothing in it is run.
        concepts: `concept_dict.json`, {concept: column}.
        channels: of the mid block; what is left of the rows is a square of positions.
        model_digest: of the denoiser they were learned on.
        licence: of the vectors.
        model_digest_bfloat16: of the same denoiser cast to bfloat16.

    Raises:
        ConceptError: the files are not such a checkpoint; says what they are.
        MissingExtraError: torch is not installed.
    """
    columns = _columns(concepts)
    weight = _weight(checkpoint)
    rows, count = weight.shape
    side = math.isqrt(rows // channels)
    if channels * side * side != rows:
        raise ConceptError(
            f"{checkpoint}: {rows} rows are no square of positions with {channels} channels each",
            "give the channels of the model's mid block with --channels (1280 in SD 1.x)",
        )
    bad = {name: column for name, column in columns.items() if column >= count}
    if bad:
        raise ConceptError(
            f"{concepts} names the columns {bad}, {checkpoint} has {count}",
            "give the concept_dict.json that was written with this checkpoint",
        )
    file_digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    vectors = {}
    for name, column in columns.items():
        array = np.ascontiguousarray(weight[:, column]).reshape(channels, side, side)
        passport = Passport(
            concept=name,
            model_family="UNet2DConditionModel",
            model_digest=model_digest,
            model_digest_bfloat16=model_digest_bfloat16,
            site_shapes={_SITE: array.shape},
            method="self-discovery",
            settings={"imported from": checkpoint.name, "sha256 of the file": file_digest},
            seed=0,
            prompts={},
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            licence=licence,
        )
        vectors[name] = ConceptVector(passport, {_SITE: array})
    return vectors


def save_published(vectors: Mapping[str, ConceptVector], folder: Path) -> list[Path]:
    """Write both files; other sites than the mid block, levels and passports are left out.

    Raises:
        ConceptError: a vector has nothing at the mid block, or they differ in shape or model.
        OutputError: the folder cannot be written, is part of the installed package, or holds
            something else under one of the names.
    """
    own_folder(folder)
    torch = _torch()
    arrays = {name: vector.arrays.get(_SITE) for name, vector in vectors.items()}
    shapes = {name: None if array is None else array.shape for name, array in arrays.items()}
    square = {shape for shape in shapes.values() if shape and len(shape) == 3}
    if len(set(shapes.values())) != 1 or len(square) != 1:
        raise ConceptError(
            f"expected vectors of one shape [C, H, H] at the mid block, got {shapes}",
            "choose vectors that were learned at the mid block, for one size",
        )
    demand_one_model(vectors)
    stacked = np.stack([array.ravel() for array in arrays.values() if array is not None], axis=1)
    written = folder / CHECKPOINT, folder / CONCEPTS
    state, columns = io.BytesIO(), {name: column for column, name in enumerate(arrays)}
    torch.save({_WEIGHT: torch.from_numpy(stacked)}, state)
    contents = dict(zip(written, (state.getvalue(), json.dumps(columns).encode()), strict=True))
    demand_free([p for p, data in contents.items() if p.exists() and p.read_bytes() != data])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write to the folder {folder}: {error.strerror}", "choose another folder"
        ) from error
    for path, data in contents.items():
        write_file(path, data)
    return list(written)


def _weight(checkpoint: Path) -> Array:
    torch = _torch()
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # unpicklers raise what they like
        raise ConceptError(
            f"{checkpoint} is not a checkpoint of tensors alone: {str(error).splitlines()[0]}",
            f"expected a torch state dict with {_WEIGHT}; nothing else is ever unpickled",
        ) from error
    weight = state.get(_WEIGHT) if isinstance(state, Mapping) else None
    if not isinstance(weight, torch.Tensor) or weight.ndim != 2 or not weight.is_floating_point():
        held = sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
        raise ConceptError(
            f"{checkpoint} has no matrix {_WEIGHT}: it holds {held}",
            "give the unet.pth that the published training code writes",
        )
    array: Array = weight.detach().float().numpy()
    return array


def _columns(path: Path) -> dict[str, int]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConceptError(
            f"{path} is not a concept dict: {error}", 'expected JSON such as {"female": 0}'
        ) from error
    if not isinstance(value, dict) or not value or not all(map(_is_column, value.values())):
        raise ConceptError(
            f"{path} is not a concept dict: expected names with columns from 0, got {value!r}",
            'expected JSON such as {"female": 0, "male": 1}',
        )
    twice = {n for n, column in value.items() if list(value.values()).count(column) > 1}
    if twice:
        raise ConceptError(
            f"{path} gives {', '.join(sorted(twice))} one and the same column",
            "take out all but the one that was learned",
        )
    for name in value:
        if not name or name != Path(name).name or name.startswith("."):
            raise ConceptError(
                f"{path}: {name!r} is not a concept's name", "rename it: it becomes a file's name"
            )
    return value


def _is_column(value: object) -> bool:
    return type(value) is int and value >= 0


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "diffusers", "the published checkpoint format") from error
    return torch
