"""`ConceptVector`: a direction in a denoiser's activations, with a passport that says whence."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from safegen.errors import ConceptError, OutputError
from safegen.nouns import Frozen

Array = NDArray[np.float32]
_PASSPORT = "safegen.passport"


class Passport(Frozen):
    """Where a vector comes from and what it was made for."""

    concept: str
    model_family: str = Field(description="class of the denoiser, e.g. UNet2DConditionModel")
    model_digest: str = Field(description="sha256:… of the denoiser's weights")
    site_shapes: dict[str, tuple[int, ...]] = Field(description="site -> shape of the vector there")
    method: Literal["self-discovery", "score-matching", "contrast"]
    settings: dict[str, str | int | float | bool]
    seed: int
    prompts: dict[str, tuple[str, ...]] = Field(description="role -> training prompts")
    date: str
    licence: str = "Apache-2.0"
    card: dict[str, float] = Field(default={}, description="measured effect, by metric")


@dataclass(frozen=True)
class ConceptVector:
    """One concept: a float32 array of shape [C], [C, 1, 1] or [C, H, W] for every site."""

    passport: Passport
    arrays: Mapping[str, Array]

    def __post_init__(self) -> None:
        """Refuse arrays that the passport does not describe, and values that are not finite."""
        shapes = {site: array.shape for site, array in self.arrays.items()}
        if shapes != self.passport.site_shapes:
            raise ConceptError(
                f"concept {self.passport.concept!r}: the passport says "
                f"{self.passport.site_shapes}, the tensors are {shapes}",
                "fetch the vector again from where it was published",
            )
        if not all(np.isfinite(array).all() for array in self.arrays.values()):
            raise ConceptError(
                f"concept {self.passport.concept!r} holds values that are not finite",
                "learn it again with a smaller learning rate",
            )

    @property
    def digest(self) -> str:
        """sha256:… over sites, shapes and values."""
        state = hashlib.sha256()
        for site in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[site], dtype="<f4")
            state.update(f"{site}{array.shape}".encode())
            state.update(array.tobytes())
        return f"sha256:{state.hexdigest()}"


def save_vector(vector: ConceptVector, path: Path) -> None:
    """Write one safetensors file (fp16 tensors, passport in the metadata), or nothing at all.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.numpy import save

    data = save(
        {site: array.astype(np.float16) for site, array in vector.arrays.items()},
        metadata={_PASSPORT: vector.passport.model_dump_json()},
    )
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write the vector {path}: {error.strerror}", "choose a folder you can write to"
        ) from error


def load_vector(path: Path) -> ConceptVector:
    """Read a vector; nothing is ever unpickled.

    Raises:
        ConceptError: the file is missing, damaged, or has no passport.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {site: file.get_tensor(site).astype(np.float32) for site in file.keys()}  # noqa: SIM118 - not a mapping
        passport = Passport.model_validate(json.loads(metadata[_PASSPORT]))
    except (OSError, SafetensorError, KeyError, ValueError, ValidationError) as error:
        raise ConceptError(
            f"{path} is not a concept vector with a passport: {error}",
            "expected a safetensors file written by `safegen vectors discover`",
        ) from error
    return ConceptVector(passport, arrays)
