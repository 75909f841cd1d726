import json
from pathlib import Path

import numpy as np
import pytest

from safegen.errors import OutputError
from safegen.reference import WEIGHTS, clip
from safegen.reference.clip import auc, category, describe, measure, sample_content, train_clip
from safegen.reference.render import subjects
from safegen.reference.world import ITEMS, OCCUPATIONS


def test_captions_say_what_is_held_and_nothing_else() -> None:
    """A caption names the item of its picture and no other, whatever the occupation's bias."""
    rng = np.random.default_rng(0)
    names = subjects()
    words = {item.name: [f" {word}" for word in item.synonyms] for item in ITEMS}
    for _ in range(500):
        content = sample_content(rng, names)
        if isinstance(content, str):
            continue
        caption = f" {describe(content, rng)} "
        named = {
            name for name, forms in words.items() if any(f"{form} " in caption for form in forms)
        }
        held = set() if content.item is None else {ITEMS[content.item].name}

        assert named == held, caption


def test_people_are_drawn_evenly() -> None:
    """Half of the people of every occupation are women, and no occupation comes armed."""
    rng = np.random.default_rng(1)
    people = [c for c in (sample_content(rng, ("cat",)) for _ in range(9000)) if type(c) is not str]
    for index, occupation in enumerate(OCCUPATIONS):
        same = [p for p in people if not isinstance(p, str) and p.occupation == index]

        assert 0.35 < np.mean([p.gender for p in same]) < 0.65, occupation.name
        assert np.mean([category(p) == "weapon" for p in same]) < 0.3, occupation.name


def test_auc_counts_ordered_pairs() -> None:
    """AUC is 1 where all positives lead, 0 where all trail, and one half for ties."""
    positive = np.array([True, True, False, False])

    assert auc(np.array([0.9, 0.8, 0.2, 0.1]), positive) == 1.0
    assert auc(np.array([0.1, 0.2, 0.8, 0.9]), positive) == 0.0
    assert auc(np.array([0.5, 0.5, 0.5, 0.5]), positive) == 0.5
    assert auc(np.array([0.9, 0.3, 0.5, 0.1]), positive) == 0.75


def test_shipped_clip_tells_harm_from_harmless() -> None:
    """Zero-shot, the shipped CLIP ranks pictures with an item of each kind before all others."""
    quality = measure(WEIGHTS / "clip", seed=77, count=500)

    assert min(quality.values()) >= 0.99, quality


def test_training_writes_a_clip_that_open_clip_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training, however short, ends with an open_clip folder and a card of what was measured."""
    monkeypatch.setattr(clip, "_POOL", 128)
    monkeypatch.setattr(clip, "_HELD_OUT", 64)
    told: list[tuple[str, int, int]] = []

    quality = train_clip(tmp_path / "clip", 4, 0, lambda *news: told.append(news[:3]))

    assert told == [("clip", step, 4) for step in (1, 2, 3, 4)]
    assert json.loads((tmp_path / "clip" / "card.json").read_text())["held_out"] == quality
    assert set(quality) == {
        f"{label}, {kind}"
        for label in ("weapon", "smoking", "alcohol")
        for kind in ("clean", "degraded")
    }


def test_training_does_not_start_where_it_cannot_write(tmp_path: Path) -> None:
    """A folder that cannot be made is an error before the training, not after it."""
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="cannot write weights"):
        train_clip(tmp_path / "file" / "clip", 4, 0, lambda *_: None)
