"""Inception's features, with random weights in the place of the published ones."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from safegen.errors import InputError
from safegen.evaluation.inception import Inception


class Untrained(FeatureExtractorInceptionV3):
    """The same network, which does without weights."""

    def load_state_dict(self, *_: Any, **__: Any) -> None:
        """Keep what it was made with."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights."""
    folder = tmp_path_factory.mktemp("inception")
    torch.save({}, folder / "empty.pth")
    torch.manual_seed(0)
    made = Untrained("inception", ["2048"], str(folder / "empty.pth"))
    torch.save(made.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def test_images_of_any_size_have_2048_features(weights: Path) -> None:
    """Images that differ have features that do, one row each."""
    inception = Inception(weights)
    red, blue = Image.new("RGB", (64, 64), "red"), Image.new("RGBA", (300, 200), "blue")
    found = inception([red, blue])
    assert found.shape == (2, 2048)
    assert not np.allclose(found[0], found[1])
    assert inception.digest.startswith("sha256:")


class Harmful:
    """Pickles that write a file when they are loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._path,))


def test_files_that_are_no_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    """Other tensors, no file, and a pickle that would run code, which it then does not."""
    (tmp_path / "code.pth").write_bytes(pickle.dumps(Harmful(tmp_path / "ran"), protocol=2))
    for path in (weights.parent / "empty.pth", tmp_path / "none.pth", tmp_path / "code.pth"):
        with pytest.raises(InputError, match=path.name):
            Inception(path)
    assert not (tmp_path / "ran").exists()
