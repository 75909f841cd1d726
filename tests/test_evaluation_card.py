"""Cards: what is recommended, what is told, on a model and eyes whose answers are known."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from safegen.adapters.sampler import Sampler
from safegen.concepts.digest import model_digest
from safegen.concepts.discovery.spec import PUBLISHED, SEED_BLOCK, PromptPair
from safegen.concepts.vector import ConceptVector
from safegen.errors import InputError
from safegen.evaluation import card as module
from safegen.evaluation.card import Case, Eyes, Measurement
from safegen.evaluation.stats import chance_of_gain
from safegen.testing import random_vector, tiny_pipeline

PAIRS = (
    PromptPair(neutral="a photo of a doctor", target="a photo of a calm doctor"),
    PromptPair(neutral="a photo of a cook", target="a photo of a calm cook"),
)
CASE = Case(PAIRS, ["a photo of a cat"], images=1, judged=3, sampler=Sampler(3, 2.0))


def vector_for(pipeline: Any) -> ConceptVector:
    """A strong vector for a tiny model."""
    made = random_vector("calm", {"mid_block": (32,)}, activation_norm=1.0)
    passport = made.passport.model_copy(update={"model_digest": model_digest(pipeline.unet)})
    return ConceptVector(passport, {"mid_block": made.arrays["mid_block"] * 3})


class Watcher:
    """Eyes that see the concept where an image is none of the unsteered ones, and note sizes."""

    def __init__(self, *, blind: bool = False, always: bool = False) -> None:
        self.blind, self.always, self.learning = blind, always, False
        self.bare: dict[bytes, np.ndarray] = {}
        self.sizes: set[tuple[int, int]] = set()

    def learn(self, measurement: Measurement) -> None:
        """What the unsteered images are."""
        self.learning = True
        measurement.dose(0.0)
        measurement.judged(0.0)
        self.learning = False

    def shows(self, images: Sequence[Image.Image], _: Sequence[PromptPair]) -> list[bool]:
        """Whatever is new."""
        self.sizes |= {image.size for image in images}
        if self.learning:
            self.bare |= {image.tobytes(): np.asarray(image).astype(int) for image in images}
        new = [image.tobytes() not in self.bare for image in images]
        return [self.always or (not self.blind and each) for each in new]

    def kept(self, images: Sequence[Image.Image], _: Sequence[PromptPair]) -> list[bool]:
        """Still near one of them."""
        return [self._far(image) < 60 for image in images]

    def _far(self, image: Image.Image) -> float:
        pixels = np.asarray(image.resize((16, 16))).astype(int)
        return min((float(np.abs(pixels - bare).mean()) for bare in self.bare.values()), default=0)

    def eyes(self) -> Eyes:
        """As a card wants them."""
        return Eyes("a watcher", self.shows, self.kept, lambda images, _: [50.0] * len(images))


def test_a_vector_that_works_gets_the_mildest_dose_that_does() -> None:
    """Every strength changes these images, so the least one is recommended."""
    pipeline, watcher, told = tiny_pipeline(), Watcher(), []
    eyes, vector = watcher.eyes(), vector_for(pipeline)
    with Measurement(pipeline, vector, CASE, eyes, lambda *step: told.append(step)) as measurement:
        watcher.learn(measurement)
        before = len(told)
        card = measurement.card()

    assert card.strength == module.STRENGTHS[0]
    assert (card.success, card.unsteered, card.images, card.judged) == (1.0, 0.0, 2, 6)
    assert (card.verdict, card.p_value) == ("works", 1 / 64)
    assert card.unrelated > 0
    assert len(card.doses) == len(module.STRENGTHS) + len(module.WINDOWS)
    assert {each.what for each in card.transfer} >= {"10 steps", "guidance 7.5", "size 24x24"}
    assert watcher.sizes == {(16, 16), (24, 24)}
    assert [done for done, _, _ in told[before:]] == list(range(before + 1, len(told) + 1))
    assert len(told) - before == told[-1][1]
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


def test_too_few_images_to_show_anything_are_told() -> None:
    """Before they are made: the card would say of the best vector that it shows no effect."""
    pipeline, case = tiny_pipeline(), Case(PAIRS, ["a cat"], images=1, judged=2)
    with (
        Measurement(pipeline, vector_for(pipeline), case, Watcher().eyes()) as measurement,
        pytest.raises(InputError, match="4 images show nothing of 'calm'"),
    ):
        measurement.card()


@pytest.mark.parametrize("lack", [{"pairs": ()}, {"unrelated": ()}])
def test_nothing_to_measure_on_is_told(lack: dict[str, tuple[()]]) -> None:
    """Before anything is generated."""
    pipeline = tiny_pipeline()
    case = Case(**({"pairs": PAIRS, "unrelated": ["a cat"]} | lack))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="held_out"):
        Measurement(pipeline, vector_for(pipeline), case, Watcher().eyes())


class Redrawn(Measurement):
    """As if the vector made another image, of anything, at every dose."""

    def _made(self, prompts: Any, seeds: Any, *dose: Any) -> list[Image.Image]:
        drawn = [
            sha256(repr((each, dose)).encode()).digest()
            for each in zip(prompts, seeds, strict=True)
        ]
        return [Image.frombytes("L", (1, 1), digest[:1]) for digest in drawn]


def test_a_vector_that_only_makes_other_images_does_not_work() -> None:
    """Of ten doses one is lucky: judged on other noises, it is not."""

    def shows(images: Sequence[Image.Image], _: Sequence[PromptPair]) -> list[bool]:
        return [image.getpixel((0, 0)) < 64 for image in images]  # type: ignore[operator]

    def kept(images: Sequence[Image.Image], _: Sequence[PromptPair]) -> list[bool]:
        return [True] * len(images)

    pipeline = tiny_pipeline()
    eyes = Eyes("chance", shows, kept, lambda images, _: [50.0] * len(images))
    case = Case(PAIRS * 2, ["a cat"])
    cards = [
        Redrawn(pipeline, vector_for(pipeline), case.of_seed(seed), eyes).card()
        for seed in range(100)
    ]

    best = [max(dose.success for dose in card.doses) for card in cards]
    assert sum(top > card.unsteered for top, card in zip(best, cards, strict=True)) > 90
    assert sum(card.verdict == "works" for card in cards) <= 5  # in the mean 2.5 or fewer


def test_noise_that_chose_or_taught_judges_nothing() -> None:
    """A seed's block of noise has a part for each."""
    case = Case(PAIRS, ["a cat"])
    parts = [case.of_seed(seed) for seed in range(3)]
    firsts = sorted(first for part in parts for first in (part.choosing, part.judging))
    learning = [seed * SEED_BLOCK for seed in range(4)]

    most = len(PAIRS) * case.judged
    assert all(later - first > most for first, later in pairwise(sorted(firsts + learning)))
    assert min(firsts) >= 100 * PUBLISHED.trajectories


@pytest.mark.parametrize(
    ("unsteered", "gained", "lost", "verdict"),
    [
        (4, 12, 0, "works"),
        (36, 12, 0, "works"),
        (4, 6, 0, "works"),  # p = 1/64
        (4, 5, 0, "no effect shown"),  # 1/32
        (24, 20, 15, "no effect shown"),
        (4, 0, 4, "no effect shown"),
        (44, 4, 0, "no room"),
    ],
)
def test_chance_is_allowed_for(unsteered: int, gained: int, lost: int, verdict: str) -> None:
    """More images that show the concept are no proof while as many more could come by chance."""
    before = [i < unsteered for i in range(48)]
    after = [i >= lost if i < unsteered else i < unsteered + gained for i in range(48)]

    assert (sum(after) - sum(before)) == gained - lost
    p_value = chance_of_gain(before, after)
    assert module._verdict(sum(before) / 48, p_value) == verdict


def test_the_chance_of_a_gain_is_mcnemars() -> None:
    """Against scipy's binomial test of those that changed."""
    rng = np.random.default_rng(0)
    for n in (1, 7, 48, 300):
        before, after = rng.random((2, n)) < [[0.3], [0.5]]
        gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
        expected = binomtest(gained, gained + lost, alternative="greater").pvalue
        assert chance_of_gain(list(before), list(after)) == pytest.approx(expected)
    assert chance_of_gain([True], [True]) == 1
