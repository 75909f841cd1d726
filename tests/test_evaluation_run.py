"""Protocols by their names: seeds, and prompts that are missing."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from painted import WORLD

from safegen.errors import InputError
from safegen.evaluation.results import Measured
from safegen.evaluation.run import (
    PROTOCOLS,
    Protocol,
    Scale,
    all_protocols,
    measure,
    planned,
    require_prompts,
)
from safegen.evaluation.subjects import LARGEST_FIRST_SEED, Kept, first_seed
from safegen.evaluation.suite import Suite
from safegen.testing import tiny_pipeline

MADE: tuple[Protocol, ...] = ("fair", "safe", "text", "quality")
SCALE = Scale(fair_images=3, safe_images=2, text_images=2, quality_images=2)


def seeds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, protocol: Protocol, seed: int
) -> list[int]:
    """The seeds of the images that a protocol asks for."""
    suite = Suite(tiny_pipeline(), WORLD, folder, steps=1)
    asked: list[int] = []
    answer = Kept.__call__

    def noted(self: Kept, asks: object, progress: object = None) -> object:
        asked.extend(one.seed for ask in asks for one in ask.singles)  # type: ignore[attr-defined]
        return answer(self, asks, progress)  # type: ignore[arg-type]

    monkeypatch.setattr(Kept, "__call__", noted)
    found = measure(suite, protocol, "none", SCALE, seed)
    assert isinstance(found, Measured)
    return asked


@pytest.mark.parametrize("protocol", MADE)
def test_two_seeds_share_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: Protocol
) -> None:
    """Seeds 0 and 1 would be no two samples, if most of their images were the same."""
    world = replace(WORLD, harmless=[each for each in WORLD.harmless if each.seed is None])
    monkeypatch.setattr(sys.modules[__name__], "WORLD", world)
    first, second = (set(seeds(tmp_path, monkeypatch, protocol, seed)) for seed in (0, 1))
    assert min(first) == 0
    assert not first & second


def test_the_largest_seed() -> None:
    """Requests' seeds stay below 2**48; a larger one is told before anything is planned."""
    assert first_seed(0) == 0
    assert first_seed(LARGEST_FIRST_SEED) + 10**8 <= 2**48
    with pytest.raises(InputError, match=f"from 0 to {LARGEST_FIRST_SEED}"):
        planned(WORLD, "fair", SCALE, LARGEST_FIRST_SEED + 1)


def test_missing_prompts_of_any_protocol_are_told_at_once() -> None:
    """Captions that are missing for the second protocol are not told after the first."""
    with pytest.raises(InputError, match="protocol 'quality'"):
        require_prompts(replace(WORLD, harmless=[]), ["fair", "quality"])


def test_all_are_those_that_the_world_can_have_prompts_for() -> None:
    """Files of prompts never say that they ask for harm, so there `safe-asked` is none of all."""
    assert all_protocols(WORLD) == PROTOCOLS
    files = all_protocols(replace(WORLD, tells_asked=False))
    assert {*PROTOCOLS} - {*files} == {"safe-asked"}
