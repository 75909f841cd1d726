"""Weights that come with SafeGen are those that were measured, or are refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from safegen import reference
from safegen.audit.detectors import load_detector
from safegen.audit.detectors.clip import detector as clip
from safegen.concepts.vector import load_vector
from safegen.errors import ClassifierError, ConceptError, DetectorError, UnknownModelError
from safegen.evaluation.worlds import reference_world
from safegen.reference import WEIGHTS, judge
from safegen.risk import head
from safegen.risk.head import HeadClassifier, HeadSettings
from safegen.shipped import damage, sums, write_card

FOLDERS = ("clip", "judge", "judge-clip", "pipeline")


def spoil(path: Path) -> None:
    """Zeros where the last eighth of the values was: what loads, and sees nothing."""
    data = path.read_bytes()
    kept = len(data) * 7 // 8
    path.write_bytes(data[:kept] + bytes(len(data) - kept))


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped weights, from which everything is loaded."""
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    monkeypatch.setattr(reference, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(judge, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(clip, "files", lambda _: tmp_path)
    return tmp_path / "weights"


@pytest.mark.parametrize("name", FOLDERS)
def test_every_shipped_file_is_on_the_card(name: str) -> None:
    """No weights and no settings of a shipped model go unchecked."""
    card = json.loads((WEIGHTS / name / "card.json").read_text())

    assert card["sha256"] == sums(WEIGHTS / name)
    assert {path.name for path in WEIGHTS.iterdir()} == set(FOLDERS)
    assert not damage(WEIGHTS / name)


@pytest.mark.parametrize(
    ("file", "load", "error"),
    [
        ("clip/open_clip_model.safetensors", lambda: load_detector("clip"), DetectorError),
        ("judge/item.safetensors", judge.Judge.load, UnknownModelError),
        ("pipeline/unet/diffusion_pytorch_model.safetensors", reference.load_pipeline, None),
        (
            "judge-clip/open_clip_model.safetensors",
            lambda: reference_world().clip_score([Image.new("RGB", (64, 64))], ["a knife"]),
            None,
        ),
    ],
)
def test_damaged_weights_are_refused(
    copied: Path, file: str, load: Callable[[], Any], error: type[Exception] | None
) -> None:
    """What is not what the card says is not loaded, though it could be."""
    pytest.importorskip("open_clip")
    assert load() is not None
    spoil(copied / file)

    with pytest.raises(error or UnknownModelError, match="sha256") as raised:
        load()
    assert Path(file).name in str(raised.value)
    assert getattr(raised.value, "mend", "")


def test_missing_weights_and_cards_are_damage(tmp_path: Path) -> None:
    """So is a card that names no sums, for nobody knows what the weights should be."""
    folder = tmp_path / "model"
    assert "FileNotFoundError" in damage(folder)
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(b"a")
    (folder / "card.json").write_text('{"what": "a model"}')
    assert "KeyError" in damage(folder)

    write_card(folder, {"what": "a model"})
    assert not damage(folder)
    (folder / "a.safetensors").unlink()
    assert "no such file" in damage(folder)


def test_a_damaged_head_and_a_damaged_vector_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped head is that of its card, and every vector that of its seal."""
    shutil.copytree(head._ASSETS, tmp_path / "assets")
    monkeypatch.setattr(head, "_ASSETS", tmp_path / "assets")
    HeadClassifier("head", HeadSettings(kind="head"))
    spoil(tmp_path / "assets/head.safetensors")
    with pytest.raises(ClassifierError, match="sha256"):
        HeadClassifier("head", HeadSettings(kind="head"))

    shipped = WEIGHTS.parent.parent / "concepts/vectors/reference/man.safetensors"
    vector = Path(shutil.copy(shipped, tmp_path))
    assert np.isfinite(next(iter(load_vector(vector).arrays.values()))).all()
    spoil(vector)
    with pytest.raises(ConceptError):
        load_vector(vector)
