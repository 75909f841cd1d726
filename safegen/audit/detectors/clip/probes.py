"""Linear heads on an image embedding, from a file of arrays; nothing is unpickled."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from safegen.errors import InputError

_MEND = "save LABEL.weight and LABEL.bias for each label, as safetensors or npz"


@dataclass(frozen=True)
class Probe:
    """One label: how much each part of the embedding counts, and from where on."""

    weight: NDArray[np.float32]
    bias: float

    @property
    def digest(self) -> str:
        """sha256:… of both."""
        data = self.weight.tobytes() + np.float32(self.bias).tobytes()
        return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read_probes(path: str, width: int) -> dict[str, Probe]:
    """The heads in a safetensors or npz file, by label.

    Args:
        path: the file.
        width: how long the model's embedding is.

    Raises:
        InputError: it cannot be read, holds something else, or is made for another model.
    """
    try:
        arrays = _arrays(Path(path))
    except Exception as error:  # both readers raise whatever a damaged file leads them to
        raise InputError(f"{path}: expected a file of probes, got {error}", _MEND) from error
    labels = sorted({name.rpartition(".")[0] for name in arrays})
    wanted = {f"{label}.{part}" for label in labels for part in ("weight", "bias")}
    if not labels or wanted != set(arrays) or "" in labels:
        raise InputError(
            f"{path}: expected LABEL.weight and LABEL.bias for each label, got {sorted(arrays)}",
            _MEND,
        )
    probes = {}
    for label in labels:
        weight = np.asarray(arrays[f"{label}.weight"], np.float32).ravel()
        bias = np.asarray(arrays[f"{label}.bias"], np.float32).ravel()
        if weight.size != width or bias.size != 1 or not np.isfinite([*weight, *bias]).all():
            raise InputError(
                f"{path}: expected {width} finite weights and one bias for {label!r}, got "
                f"{weight.size} and {bias.size}",
                "train the probe on embeddings of this model",
            )
        probes[label] = Probe(weight, float(bias[0]))
    return probes


def _arrays(path: Path) -> Mapping[str, NDArray[np.float32]]:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    from safetensors.numpy import load_file

    loaded: Mapping[str, NDArray[np.float32]] = load_file(path)
    return loaded
