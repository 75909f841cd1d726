"""`ConceptVector`: a direction in a denoiser's activations, with a passport that says whence."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from safegen.arguments import as_path
from safegen.concepts.card import Card
from safegen.errors import ConceptError, MissingExtraError, OutputError
from safegen.files import write_file
from safegen.nouns import Frozen

Array = NDArray[np.float32]
Method = Literal["self-discovery", "score-matching", "contrast"]
"""How a vector is learned."""
_PASSPORT, _SEAL = "safegen.passport", "safegen.seal"
_BEFORE, _AFTER = "@before", "@after"


class Passport(Frozen):
    """Where a vector comes from and what it was made for."""

    concept: str
    model_family: str = Field(description="class of the denoiser, e.g. UNet2DConditionModel")
    model_digest: str = Field(description="sha256:… of the denoiser's weights")
    model_digest_bfloat16: str = Field(
        default="", description="the same of the model cast to bfloat16; empty: not known"
    )
    site_shapes: dict[str, tuple[int, ...]] = Field(description="site -> shape of the vector there")
    method: Literal[Method, "composed"]
    settings: dict[str, str | int | float | bool]
    seed: int
    prompts: dict[str, tuple[str, ...]] = Field(description="role -> training prompts")
    held_out: tuple[tuple[str, str, str], ...] = Field(
        default=(), description="neutral, target, avoid: prompts to measure on, not learned from"
    )
    date: str
    licence: str = "Apache-2.0"
    activation_norms: dict[str, float] = Field(
        default={},
        description="site -> typical L2 norm of the activation at one position, for strengths "
        "relative to it and for the norm cap; empty: not measured",
    )
    resize: Literal["interpolate", "pool"] = Field(
        default="interpolate",
        description="what a spatial vector does at another latent size than its own",
    )
    resize_measured: bool = Field(
        default=False, description="whether `resize` was measured to work at another size"
    )
    card: Card | None = Field(default=None, description="measured effect; none: not measured")
    work: dict[str, float] = Field(
        default={},
        description="unet_forwards: what learning cost, in forwards of the denoiser for one sample "
        "(a backward counted by its multiply-adds); beside it what the method says of its success",
    )

    def made_for(self, model_digest: str) -> bool:
        """Whether it is of the model with this digest, in whichever precision that is run."""
        known = {self.model_digest, self.model_digest_bfloat16} - {""}
        return model_digest in known


@dataclass(frozen=True, eq=False)
class Levels:
    """Where activations lie along a vector, before and after the concept: what a gate goes by.

    Float32 arrays [S, H, W]: the mean projection on the vector's direction (of length 1 at each
    position) at S evenly spaced phases of the denoising, from noise to image.
    """

    before: Array
    after: Array


@dataclass(frozen=True, eq=False)
class ConceptVector:
    """One concept: a float32 array for every site, and the levels that gates need, if measured.

    Shapes are [C], [C, 1, 1] or [C, H, W]. Two are equal if their passports and digests are.
    """

    passport: Passport
    arrays: Mapping[str, Array]
    levels: Mapping[str, Levels] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse arrays that the passport does not describe, zeros, and values not finite.

        Raises:
            ConceptError: it is such a vector, its values are no numbers, or it says of an
                activation what no norm can be.
        """
        try:
            with np.errstate(over="ignore"):  # what float32 does not hold is not finite
                arrays = {s: np.asarray(array, np.float32) for s, array in self.arrays.items()}
        except (TypeError, ValueError) as error:
            raise ConceptError(
                f"concept {self.passport.concept!r}: expected arrays of numbers: {error}",
                "give a float32 array for each site",
            ) from error
        object.__setattr__(self, "arrays", arrays)
        shapes = {site: array.shape for site, array in self.arrays.items()}
        if shapes != self.passport.site_shapes:
            raise ConceptError(
                f"concept {self.passport.concept!r}: the passport says "
                f"{self.passport.site_shapes}, the tensors are {shapes}",
                "fetch the vector again from where it was published",
            )
        for site, levels in self.levels.items():
            if site not in shapes or levels.before.shape != levels.after.shape:
                raise ConceptError(
                    f"concept {self.passport.concept!r}: the levels at {site!r} do not fit: "
                    f"{levels.before.shape} before, {levels.after.shape} after",
                    "fetch the vector again from where it was published",
                )
        if not all(np.isfinite(array).all() for array in self.tensors().values()):
            raise ConceptError(
                f"concept {self.passport.concept!r} holds values that are not finite",
                "learn it again with a smaller learning rate",
            )
        for site, norm in self.passport.activation_norms.items():
            if not 0 <= norm < np.inf:
                raise ConceptError(
                    f"concept {self.passport.concept!r}: expected a typical activation norm of 0 "
                    f"or more at {site!r}, and finite, got {norm:g}",
                    "fetch the vector again from where it was published, or learn it again",
                )
        if not any(array.any() for array in self.arrays.values()):
            raise ConceptError(
                f"concept {self.passport.concept!r} is all zeros: adding it would change nothing",
                "learn it again, or combine vectors that do not cancel out",
            )

    @property
    def digest(self) -> str:
        """sha256:… over all that decides what is added.

        Sites, shapes, values, typical activation norms, and what happens at another size.
        """
        norms = sorted(self.passport.activation_norms.items())
        measured = json.dumps([norms, self.passport.resize])
        state = hashlib.sha256(f"{measured}{_digest(self.tensors())}".encode())
        return f"sha256:{state.hexdigest()}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConceptVector):
            return NotImplemented
        return self.passport == other.passport and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def tensors(self) -> dict[str, Array]:
        """As they stand in a file: sites, and their levels beside them."""
        return {
            **self.arrays,
            **{site + _BEFORE: levels.before for site, levels in self.levels.items()},
            **{site + _AFTER: levels.after for site, levels in self.levels.items()},
        }


def position_norm(array: Array) -> float:
    """The L2 norm over channels of a vector [C], [C, 1, 1] or [C, H, W], RMS over positions."""
    flat = array.reshape(array.shape[0], -1).astype(np.float64)
    return float(np.sqrt((flat**2).sum(0).mean()))


def save_vector(vector: ConceptVector, path: Path | str) -> None:
    """Write one safetensors file (fp16 tensors, passport in the metadata), or nothing at all.

    Raises:
        ConceptError: fp16 does not hold its values: those from 65,520 on, or those of a whole site,
            as they are below 3e-8.
        InputError: the path is none, or empty.
        MissingExtraError: safetensors is not installed.
        OutputError: the file cannot be written.
    """
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise MissingExtraError("safetensors", "diffusers", "writing concept vectors") from error

    with np.errstate(over="ignore"):
        # safetensors writes memory as it lies, whatever the strides.
        tensors = {n: np.ascontiguousarray(a, np.float16) for n, a in vector.tensors().items()}
    if not all(np.isfinite(array).all() for array in tensors.values()):
        raise ConceptError(
            f"concept {vector.passport.concept!r} has values that fp16 cannot hold",
            "scale it down, and raise the strength by as much",
        )
    if lost := [site for site in vector.arrays if not tensors[site].any()]:
        raise ConceptError(
            f"concept {vector.passport.concept!r} would be all zeros at {', '.join(lost)}: its "
            "values there are smaller than fp16 can hold",
            "scale it up, and lower the strength by as much; or leave such a site out",
        )
    path = as_path("path", path)
    passport = vector.passport.model_dump_json()
    data = _in_order(save(tensors, {_PASSPORT: passport, _SEAL: _seal(passport, tensors)}))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write the vector {path}: {error.strerror}", "choose a folder you can write to"
        ) from error
    write_file(path, data)


def _in_order(data: bytes) -> bytes:
    """A safetensors file with its header in order: the library writes metadata in any."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors are to start at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def _digest(tensors: Mapping[str, NDArray[Any]]) -> str:
    state = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        array = np.ascontiguousarray(tensor, dtype="<f4")
        state.update(f"{name}{array.shape}".encode())
        state.update(array.tobytes())
    return f"sha256:{state.hexdigest()}"


def _seal(passport: str, tensors: Mapping[str, NDArray[Any]]) -> str:
    """A checksum against damage of the file; who made it is not proved by it."""
    return hashlib.sha256(f"{passport}{_digest(tensors)}".encode()).hexdigest()


def load_vector(path: Path | str) -> ConceptVector:
    """Read a vector; nothing is ever unpickled.

    Raises:
        ConceptError: the file is missing, damaged, or has no passport.
        MissingExtraError: safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtraError("safetensors", "diffusers", "reading concept vectors") from error

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if _PASSPORT not in metadata:
                raise ValueError("it has no passport")
            tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if metadata.get(_SEAL) != _seal(metadata[_PASSPORT], tensors):
            raise ValueError("passport or values are not those that were written")
        # Not by `json`, which a deeply nested text takes to the end of Python's stack.
        passport = Passport.model_validate_json(metadata[_PASSPORT])
        arrays = {name: tensor for name, tensor in tensors.items() if "@" not in name}
        levels = {
            site: Levels(tensors[site + _BEFORE], tensors[site + _AFTER])
            for site in arrays
            if site + _BEFORE in tensors
        }
    # NumPy lacks types that safetensors files may hold, and says so by Type- and AttributeError.
    except (OSError, SafetensorError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConceptError(
            f"{path} is not a concept vector with a passport: {error}",
            "expected a safetensors file written by `safegen vectors discover`",
        ) from error
    return ConceptVector(passport, arrays, levels)
