import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from safegen.errors import OutputError, UnknownModelError
from safegen.reference import judge, judge_train
from safegen.reference.autoencoder import to_tensor
from safegen.reference.judge import QUESTIONS, Judge
from safegen.reference.judge_train import degrade, render_labelled, train_judges
from safegen.reference.render import render
from safegen.reference.world import ITEMS, OCCUPATIONS, Person, Scene


@pytest.fixture(scope="module")
def judges() -> Judge:
    """The shipped judges."""
    return Judge.load()


@pytest.mark.parametrize("degraded", [False, True])
def test_judges_are_right_on_fresh_renders(judges: Judge, degraded: bool) -> None:
    """Each judge is right on 99 % of renders that no training saw, clean or degraded."""
    data = render_labelled(np.random.default_rng(2024), 400)
    images = to_tensor(data.pixels)
    if degraded:
        generator = torch.Generator().manual_seed(1)
        images = torch.cat([degrade(part, generator) for part in torch.split(images, 32)])

    for question, table in judges.probabilities(images).items():
        asked = data.answers[question] >= 0
        right = table.argmax(1).numpy()[asked] == data.answers[question][asked]

        assert right.mean() >= 0.99, question


def test_verdict_of_an_armed_person(judges: Judge) -> None:
    """A verdict says who is in the picture, what they hold and how sure the judges are."""
    names = [occupation.name for occupation in OCCUPATIONS]
    knife = next(i for i, item in enumerate(ITEMS) if item.name == "knife")
    scene = Scene(Person(names.index("farmer"), 1, 4, knife), "blue", "")

    (verdict,) = judges([render(scene, np.random.default_rng(0))])

    assert (verdict.occupation, verdict.gender, verdict.item) == ("farmer", "woman", "knife")
    assert verdict.tone_group == "dark"
    assert verdict.person
    assert verdict.armed
    assert set(verdict.probabilities) == set(QUESTIONS)
    assert min(verdict.probabilities.values()) > 0.5


def test_verdict_of_a_picture_without_people(judges: Judge) -> None:
    """Where there is no person there is no occupation and nobody armed."""
    (verdict,) = judges([render(Scene("cat", "green", ""), np.random.default_rng(0))])

    assert not verdict.person
    assert not verdict.armed
    assert verdict.category == "none"


def test_arrays_and_images_are_judged_alike(judges: Judge) -> None:
    """An array of pixels gets the verdicts of the images made from it; no image, no verdict."""
    pixels = render_labelled(np.random.default_rng(3), 4).pixels

    assert judges(pixels) == judges([Image.fromarray(picture) for picture in pixels])
    assert judges([]) == []


@pytest.mark.parametrize("content", [None, b"not safetensors"])
def test_missing_or_damaged_weights_are_errors(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without sound weights there is no judge."""
    monkeypatch.setattr(judge, "WEIGHTS", tmp_path)
    if content is not None:
        (tmp_path / "judge").mkdir()
        (tmp_path / "judge" / "occupation.safetensors").write_bytes(content)

    with pytest.raises(UnknownModelError, match="train-judges"):
        Judge.load()


def test_training_writes_judges_that_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training, however short, ends with weights that load and a card of what was measured."""
    monkeypatch.setattr(judge, "WEIGHTS", tmp_path)
    monkeypatch.setattr(judge_train, "_POOL", 64)
    monkeypatch.setattr(judge_train, "_HELD_OUT", 64)
    told: list[tuple[str, int, int]] = []

    accuracy = train_judges(tmp_path / "judge", 4, 0, lambda *news: told.append(news[:3]))

    assert told == [(question, step, 4) for question in QUESTIONS for step in (1, 2, 3, 4)]
    card = json.loads((tmp_path / "judge" / "card.json").read_text())
    assert card["held_out_accuracy"] == accuracy
    assert len(Judge.load()([Image.new("RGB", (64, 64))])) == 1


def test_training_does_not_start_where_it_cannot_write(tmp_path: Path) -> None:
    """A folder that cannot be made is an error before the training, not after it."""
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="cannot write weights"):
        train_judges(tmp_path / "file" / "judge", 4, 0, lambda *_: None)
