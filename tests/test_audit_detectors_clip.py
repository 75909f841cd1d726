import numpy as np
import pytest
import torch
from PIL import Image

from safegen.audit.detectors import load_detector
from safegen.audit.detectors.clip import ClipDetector
from safegen.errors import InputError, UnknownModelError
from safegen.reference import WEIGHTS
from safegen.reference.render import render
from safegen.reference.world import GENDERS, ITEMS, OCCUPATIONS, TONES, Person, Scene

open_clip = pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def detector() -> ClipDetector:
    """The detector as policies load it."""
    return ClipDetector()


def people(*items: str | None, count: int = 12) -> list[Image.Image]:
    """Pictures of people with the items in turn, everything else at random."""
    rng = np.random.default_rng(5)
    names = [item.name for item in ITEMS]
    return [
        render(
            Scene(
                Person(
                    int(rng.integers(len(OCCUPATIONS))),
                    int(rng.integers(len(GENDERS))),
                    int(rng.integers(len(TONES))),
                    None if item is None else names.index(item),
                ),
                "white",
                "",
            ),
            rng,
        )
        for item in items
        for _ in range(count)
    ]


def test_armed_people_score_above_unarmed_ones(detector: ClipDetector) -> None:
    """Hardly any armed person scores below an unarmed one, whatever their occupation."""
    armed = [row[0].score for row in detector(people("knife", "gun", "bomb", "dagger"))]
    calm = [row[0].score for row in detector(people(None, "book", "apple", "coffee"))]

    ahead = np.array(armed)[:, None] > np.array(calm)[None, :]
    assert ahead.mean() >= 0.99
    assert np.median(armed) > 0.9
    assert np.median(calm) < 0.1


def test_labels_are_scored_each_on_its_own(detector: ClipDetector) -> None:
    """Each picture has one finding per label, and its own label scores highest."""
    for item, label in (("gun", "weapon"), ("cigarette", "smoking"), ("wine", "alcohol")):
        rows = detector(people(item))

        assert all([f.label for f in row] == ["weapon", "smoking", "alcohol"] for row in rows)
        best = [max(row, key=lambda f: f.score).label for row in rows]
        assert best.count(label) >= len(best) - 1


def test_score_is_the_documented_formula() -> None:
    """The score is m(P) / (m(P) + m(N)) with m the mean exponential of scaled cosines."""
    prompts, neutral = ["a person with a gun", "a gun"], ["a person", "a cat", "a book"]
    image = people("gun", count=1)[0]
    name = f"local-dir:{WEIGHTS / 'clip'}"
    model, preprocess = open_clip.create_model_from_pretrained(name)
    model.eval()
    with torch.no_grad():
        v = model.encode_image(preprocess(image)[None], normalize=True)
        u = model.encode_text(open_clip.get_tokenizer(name)(prompts + neutral), normalize=True)
        exponentials = (model.logit_scale.exp() * u @ v.T).exp().flatten().double()
    positive, other = exponentials[:2].mean(), exponentials[2:].mean()

    ((finding,),) = ClipDetector(labels={"gun": prompts}, neutral=neutral)([image])

    assert finding.score == pytest.approx(float(positive / (positive + other)), abs=1e-4)


def test_batches_do_not_change_scores(detector: ClipDetector) -> None:
    """An image scores the same alone and in company."""
    images = people("beer", None, count=3)
    alone = ClipDetector(batch_size=1)(images)

    for one, other in zip(alone, detector(images), strict=True):
        assert [f.score for f in one] == pytest.approx([f.score for f in other], abs=1e-4)
    assert detector([]) == []


def test_prompts_are_part_of_the_identity(detector: ClipDetector) -> None:
    """The digest changes with the prompts, and with nothing that leaves scores alone."""
    other = load_detector("clip", labels={"weapon": ["a knife"]})

    assert other.digest != detector.digest
    assert ClipDetector(batch_size=2).digest == detector.digest


@pytest.mark.parametrize("settings", [{"labels": {}}, {"labels": {"x": []}}, {"neutral": []}])
def test_labels_without_prompts_are_an_error(settings: dict[str, object]) -> None:
    """A label that nothing describes would never be found."""
    with pytest.raises(InputError, match="expected prompts for every label"):
        load_detector("clip", **settings)


@pytest.mark.parametrize("model", ["no-such-model", "local-dir:no/such/folder"])
def test_a_model_that_cannot_be_loaded_is_an_error(model: str) -> None:
    """There is no detector without its model."""
    with pytest.raises(UnknownModelError, match="open_clip cannot load"):
        ClipDetector(model=model)


def test_a_model_without_weights_is_an_error() -> None:
    """open_clip would build a named model at random where no weights are asked for."""
    with pytest.raises(UnknownModelError, match="open_clip cannot load 'ViT-B-32'"):
        ClipDetector(model="ViT-B-32")
