"""The published checkpoint format: what comes in, what goes out, what is refused."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from safegen.concepts.published import load_published, save_published
from safegen.concepts.vector import ConceptVector, Passport
from safegen.errors import ConceptError
from safegen.testing import random_vector

WEIGHT = "controlnet.fc1.weight"


def written(folder: Path, state: object, concepts: object) -> tuple[Path, Path]:
    """A checkpoint and a concept dict of these."""
    torch.save(state, folder / "unet.pth")
    (folder / "concept_dict.json").write_text(json.dumps(concepts))
    return folder / "unet.pth", folder / "concept_dict.json"


def read(paths: tuple[Path, Path], channels: int = 5) -> dict[str, ConceptVector]:
    """Load them."""
    return load_published(*paths, channels=channels, model_digest="sha256:m", licence="unknown")


def test_columns_become_vectors(tmp_path: Path) -> None:
    """Each concept gets its column, channels first, as the published code's view has it."""
    weight = torch.arange(5 * 2 * 2 * 3, dtype=torch.float32).reshape(20, 3)
    vectors = read(written(tmp_path, {WEIGHT: weight}, {"calm": 2, "bright": 0}))

    assert set(vectors) == {"calm", "bright"}
    assert np.array_equal(vectors["calm"].arrays["mid_block"], weight[:, 2].view(5, 2, 2).numpy())
    assert vectors["calm"].passport.model_digest == "sha256:m"
    assert vectors["calm"].passport.licence == "unknown"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Out and in again, to the same values."""
    vectors = {name: random_vector(name, {"mid_block": (5, 2, 2)}) for name in ("x", "y")}
    checkpoint, concepts = save_published(vectors, tmp_path)
    back = read((checkpoint, concepts))

    for name, vector in vectors.items():
        assert np.array_equal(back[name].arrays["mid_block"], vector.arrays["mid_block"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["concept_dict.json", "unet.pth"]


class Evil:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A checkpoint with code in it is refused, and the code does not run."""
    for saved in (torch.save, lambda state, path: path.write_bytes(pickle.dumps(state))):
        paths = written(tmp_path, {}, {"calm": 0})
        saved({WEIGHT: Evil(tmp_path / "made")}, paths[0])
        with pytest.raises(ConceptError, match="tensors alone"):
            read(paths)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("state", "concepts", "told"),
    [
        ({WEIGHT: torch.ones(21, 1)}, {"calm": 0}, "--channels"),
        ({WEIGHT: torch.ones(20, 1)}, {"calm": 1}, "names the columns"),
        ({WEIGHT: torch.ones(20)}, {"calm": 0}, "no matrix"),
        ({WEIGHT: torch.ones(20, 1, dtype=torch.int64)}, {"calm": 0}, "no matrix"),
        ({"other": torch.ones(20, 1)}, {"calm": 0}, r"holds \['other'\]"),
        (torch.ones(3), {"calm": 0}, "holds Tensor"),
        ({WEIGHT: torch.ones(20, 1)}, {"calm": True}, "columns from 0"),
        ({WEIGHT: torch.ones(20, 1)}, {"calm": -1}, "columns from 0"),
        ({WEIGHT: torch.ones(20, 1)}, ["calm"], "columns from 0"),
        ({WEIGHT: torch.ones(20, 1)}, {}, "columns from 0"),
        ({WEIGHT: torch.ones(20, 2)}, {"old": 1, "white": 1}, "old, white"),
        ({WEIGHT: torch.ones(20, 1)}, {"../calm": 0}, "not a concept's name"),
        ({WEIGHT: torch.full((20, 1), torch.nan)}, {"calm": 0}, "not finite"),
    ],
)
def test_what_is_no_checkpoint_is_refused(
    tmp_path: Path, state: object, concepts: object, told: str
) -> None:
    """Each time with what was expected."""
    with pytest.raises(ConceptError, match=told):
        read(written(tmp_path, state, concepts))


def test_missing_files_are_told(tmp_path: Path) -> None:
    """No concept dict beside the checkpoint, or no checkpoint."""
    paths = written(tmp_path, {WEIGHT: torch.ones(20, 1)}, {"calm": 0})
    with pytest.raises(ConceptError, match="not a concept dict"):
        read((paths[0], tmp_path / "nowhere.json"))
    with pytest.raises(ConceptError, match="checkpoint"):
        read((tmp_path / "nowhere.pth", paths[1]))


@pytest.mark.parametrize(
    "shapes",
    [
        {"x": {"mid_block": (5, 2, 2)}, "y": {"mid_block": (5, 3, 3)}},
        {"x": {"mid_block": (5,)}},
        {"x": {"up_blocks.0": (5, 2, 2)}},
    ],
)
def test_what_the_format_cannot_hold_is_not_written(
    tmp_path: Path, shapes: dict[str, dict[str, tuple[int, ...]]]
) -> None:
    """Only squares at the mid block, all of one size."""
    with pytest.raises(ConceptError, match="one shape"):
        save_published({n: random_vector(n, shape) for n, shape in shapes.items()}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_import_steers_only_what_it_was_learned_on(tmp_path: Path) -> None:
    """The passport holds the model's digest, so a checkpoint without one matches no model."""
    vector = read(written(tmp_path, {WEIGHT: torch.ones(20, 1)}, {"calm": 0}))["calm"]
    assert isinstance(vector.passport, Passport)
    assert vector.passport.settings["imported from"] == "unet.pth"
    assert len(str(vector.passport.settings["sha256 of the file"])) == 64
