"""Cards: what is recommended, what is told, on a model and eyes whose answers are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safegen.adapters.diffusers import Sampler

from safegen.concepts.digest import model_digest
from safegen.concepts.discovery.spec import PromptPair
from safegen.concepts.vector import ConceptVector
from safegen.errors import InputError
from safegen.evaluation import card as module
from safegen.evaluation.card import Case, Eyes, Measurement
from safegen.testing import random_vector, tiny_pipeline

PAIRS = (
    PromptPair(neutral="a photo of a doctor", target="a photo of a calm doctor"),
    PromptPair(neutral="a photo of a cook", target="a photo of a calm cook"),
)
CASE = Case(PAIRS, ["a photo of a cat"], images=1, sampler=Sampler(3, 2.0))


def vector_for(pipeline: Any) -> ConceptVector:
    """A strong vector for a tiny model."""
    made = random_vector("calm", {"mid_block": (32,)}, activation_norm=1.0)
    passport = made.passport.model_copy(update={"model_digest": model_digest(pipeline.unet)})
    return ConceptVector(passport, {"mid_block": made.arrays["mid_block"] * 3})


class Watcher:
    """Eyes that see the concept where an image differs from the unsteered one, and note sizes."""

    def __init__(self, *, blind: bool = False, always: bool = False) -> None:
        self.blind, self.always = blind, always
        self.first: dict[str, bytes] = {}
        self.sizes: set[tuple[int, int]] = set()

    def shows(self, images: Sequence[Image.Image], pairs: Sequence[PromptPair]) -> list[bool]:
        """Not the first image of a prompt, which is the unsteered one."""
        self.sizes |= {image.size for image in images}
        seen = []
        for image, pair in zip(images, pairs, strict=True):
            bare = self.first.setdefault(pair.neutral, image.tobytes())
            seen.append(self.always or (not self.blind and image.tobytes() != bare))
        return seen

    def kept(self, images: Sequence[Image.Image], pairs: Sequence[PromptPair]) -> list[bool]:
        """Still near the unsteered image."""
        return [self._far(image, pair) < 60 for image, pair in zip(images, pairs, strict=True)]

    def _far(self, image: Image.Image, pair: PromptPair) -> float:
        bare = np.frombuffer(self.first[pair.neutral], np.uint8).astype(int)
        return float(np.abs(np.asarray(image.resize((16, 16))).ravel().astype(int) - bare).mean())

    def eyes(self) -> Eyes:
        """As a card wants them."""
        return Eyes("a watcher", self.shows, self.kept, lambda images, _: [50.0] * len(images))


def test_a_vector_that_works_gets_the_mildest_dose_that_does() -> None:
    """Every strength changes these images, so the least one is recommended."""
    pipeline, watcher, told = tiny_pipeline(), Watcher(), []
    eyes, vector = watcher.eyes(), vector_for(pipeline)
    with Measurement(pipeline, vector, CASE, eyes, lambda *step: told.append(step)) as measurement:
        card = measurement.card()

    assert card.strength == module.STRENGTHS[0]
    assert (card.success, card.unsteered, card.images) == (1.0, 0.0, 2)
    assert card.verdict == "works"
    assert card.unrelated > 0
    assert len(card.doses) == len(module.STRENGTHS) + len(module.WINDOWS)
    assert {each.what for each in card.transfer} >= {"10 steps", "guidance 7.5", "size 24x24"}
    assert watcher.sizes == {(16, 16), (24, 24)}
    assert [done for done, _, _ in told] == list(range(1, told[-1][1] + 1))
    assert type(pipeline.scheduler).__name__ == card.sampler["scheduler"] == "DDIMScheduler"


@pytest.mark.parametrize(
    ("watcher", "verdict"),
    [(Watcher(blind=True), "no effect shown"), (Watcher(always=True), "no room")],
)
def test_a_vector_that_shows_nothing_is_called_so(watcher: Watcher, verdict: str) -> None:
    """Nothing seen, or seen just as well without steering."""
    pipeline = tiny_pipeline()
    with Measurement(pipeline, vector_for(pipeline), CASE, watcher.eyes()) as measurement:
        card = measurement.card()

    assert card.verdict == verdict


def test_the_strip_has_a_row_a_prompt_and_a_column_a_strength() -> None:
    """Its first column is what the bare model makes."""
    pipeline = tiny_pipeline()
    with Measurement(pipeline, vector_for(pipeline), CASE, Watcher().eyes()) as measurement:
        strip = measurement.strip()

    assert strip.size == (16 * (1 + len(module.STRENGTHS)), 14 + 16 * 2)
    assert strip.crop((0, 14, 16, 30)).tobytes() != strip.crop((16, 14, 32, 30)).tobytes()


@pytest.mark.parametrize("lack", [{"pairs": ()}, {"unrelated": ()}])
def test_nothing_to_measure_on_is_told(lack: dict[str, tuple[()]]) -> None:
    """Before anything is generated."""
    pipeline = tiny_pipeline()
    case = Case(**({"pairs": PAIRS, "unrelated": ["a cat"]} | lack))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="held_out"):
        Measurement(pipeline, vector_for(pipeline), case, Watcher().eyes())


@pytest.mark.parametrize(
    ("success", "unsteered", "images", "verdict"),
    [
        (1.0, 0.25, 16, "works"),
        (0.5, 0.25, 8, "no effect shown"),  # Wilson: from 0.22
        (0.5, 0.25, 80, "works"),
        (0.2, 0.25, 80, "no effect shown"),
        (1.0, 0.95, 80, "no room"),
    ],
)
def test_chance_is_allowed_for(success: float, unsteered: float, images: int, verdict: str) -> None:
    """A share above the unsteered one is no proof while its interval reaches down to it."""
    assert module._verdict(success, unsteered, images) == verdict
