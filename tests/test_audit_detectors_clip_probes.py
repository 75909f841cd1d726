from pathlib import Path

import numpy as np
import pytest

from safegen.audit.detectors.clip.probes import read_probes
from safegen.errors import InputError


def saved(folder: Path, **arrays: object) -> str:
    """A file of arrays; `__` in a name stands for a point."""
    path = folder / "probes.npz"
    named = {name.replace("__", "."): np.asarray(value) for name, value in arrays.items()}
    np.savez(path, allow_pickle=True, **named)
    return str(path)


def test_heads_are_read_by_label(tmp_path: Path) -> None:
    """Each label has its weights and bias, and a digest of both."""
    path = saved(tmp_path, a__weight=[1, 2], a__bias=0.5, b__weight=[1, 2], b__bias=0.25)

    probes = read_probes(path, 2)

    assert [(name, [*probe.weight], probe.bias) for name, probe in probes.items()] == [
        ("a", [1, 2], 0.5),
        ("b", [1, 2], 0.25),
    ]
    assert probes["a"].digest != probes["b"].digest


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({}, "expected LABEL.weight and LABEL.bias"),
        ({"a__weight": [1, 2]}, "expected LABEL.weight and LABEL.bias"),
        ({"weight": [1, 2], "bias": 1}, "expected LABEL.weight and LABEL.bias"),
        ({"a__weight": [1, 2, 3], "a__bias": 1}, "expected 2 finite weights"),
        ({"a__weight": [1, 2], "a__bias": [1, 2]}, "expected 2 finite weights"),
        ({"a__weight": [1, np.nan], "a__bias": 1}, "expected 2 finite weights"),
        ({"a__weight": np.array([{}, 1]), "a__bias": 1}, "expected a file of probes"),
    ],
)
def test_files_of_something_else(tmp_path: Path, arrays: dict[str, object], match: str) -> None:
    """Arrays under other names, of other sizes, or pickled objects are errors."""
    with pytest.raises(InputError, match=match):
        read_probes(saved(tmp_path, **arrays), 2)


@pytest.mark.parametrize("name", ["missing.npz", "text.npz", "text.safetensors"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """The message names the file."""
    for text in ("text.npz", "text.safetensors"):
        (tmp_path / text).write_text("no arrays")
    with pytest.raises(InputError, match=name):
        read_probes(str(tmp_path / name), 2)
