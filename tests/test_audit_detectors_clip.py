import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

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
    images = people("gun", "wine", count=1)  # of which the second is doubtful
    name = f"local-dir:{WEIGHTS / 'clip'}"
    model, preprocess = open_clip.create_model_from_pretrained(name)
    model.eval()
    with torch.no_grad():
        v = model.encode_image(torch.stack([*map(preprocess, images)]), normalize=True)
        u = model.encode_text(open_clip.get_tokenizer(name)(prompts + neutral), normalize=True)
        exponentials = (model.logit_scale.exp() * u @ v.T).exp().double()
    positive, other = exponentials[:2].mean(0), exponentials[2:].mean(0)
    expected = (positive / (positive + other)).tolist()

    found = ClipDetector(labels={"gun": prompts}, neutral=neutral)(images)

    assert [finding.score for (finding,) in found] == pytest.approx(expected, abs=1e-4)
    assert 0.2 < expected[1] < 0.8


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


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model of open_clip's, in a folder, of another architecture."""
    folder = tmp_path_factory.mktemp("tiny")
    config = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "layers": 1,
            "width": 32,
            "head_width": 16,
            "patch_size": 16,
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 49408,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    }
    torch.manual_seed(0)
    weights = open_clip.CLIP(**config).state_dict()
    save_file(weights, folder / "open_clip_model.safetensors")
    whole = {"model_cfg": config, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    (folder / "tiny-clip.json").write_text(json.dumps(config))
    return folder


def test_any_model_and_checkpoint(tiny: Path) -> None:
    """A folder, or a named model with a file of weights: the same detector."""
    open_clip.add_model_config(tiny / "tiny-clip.json")
    images = people("gun", None, count=2)

    folder = ClipDetector(model=f"local-dir:{tiny}")
    file = ClipDetector(model="tiny-clip", pretrained=str(tiny / "open_clip_model.safetensors"))

    assert folder.digest == file.digest != ClipDetector().digest
    assert folder(images) == file(images)


def test_phrases_are_put_into_templates(tiny: Path) -> None:
    """The mean over the templates stands for the phrase; the digest tells them apart."""
    settings = {"model": f"local-dir:{tiny}", "labels": {"x": ["a gun"]}, "neutral": ["a cat"]}
    plain = ClipDetector(**settings)  # type: ignore[arg-type]
    both = ClipDetector(**settings, templates=["{}", "a photo of {}"])  # type: ignore[arg-type]
    spelt = ClipDetector(**settings | {"labels": {"x": ["a photo of a gun"]}})  # type: ignore[arg-type]

    mean = torch.nn.functional.normalize(plain._texts[0] + spelt._texts[0], dim=0)
    assert torch.allclose(both._texts[0], mean, atol=1e-6)
    assert both.digest != plain.digest


def embedding(detector: ClipDetector, image: Image.Image) -> np.ndarray:
    """The image as the model embeds it."""
    with torch.no_grad():
        batch = detector._preprocess(image)[None]
        vector: np.ndarray = detector._model.encode_image(batch, normalize=True)[0].numpy()
    return vector


def test_heads_share_one_embedding(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels, concepts and probes are all read from an image that is encoded once."""
    [image] = people("gun", count=1)
    model = f"local-dir:{tiny}"
    weight = np.linspace(-3, 3, 16, dtype=np.float32)
    arrays = {"smooth.weight": weight, "smooth.bias": np.array([0.5], np.float32)}
    np.savez(tmp_path / "probes.npz", **arrays)
    save_file(
        {name: torch.tensor(array) for name, array in arrays.items()},
        tmp_path / "probes.safetensors",
    )
    concepts = {"sharp": ["a knife", "a dagger"]}
    detector = ClipDetector(
        model=model, concepts=concepts, probes=str(tmp_path / "probes.safetensors")
    )
    encoded = []
    encode = detector._model.encode_image
    monkeypatch.setattr(
        detector._model, "encode_image", lambda *a, **k: encoded.append(1) or encode(*a, **k)
    )

    [row] = detector([image])

    assert encoded == [1]
    assert [f.label for f in row] == ["weapon", "smoking", "alcohol", "sharp", "smooth"]
    assert row[:3] == tuple(
        f.model_copy(update={"detector_digest": detector.digest})
        for f in ClipDetector(model=model)([image])[0]
    )
    v = embedding(ClipDetector(model=model), image)
    best = max(float(u @ v) for u in detector._concepts.numpy())
    assert row[3].score == pytest.approx(max(best, 0), abs=1e-5)
    assert row[4].score == pytest.approx(1 / (1 + np.exp(-(weight @ v + 0.5))), abs=1e-5)
    again = ClipDetector(model=model, concepts=concepts, probes=str(tmp_path / "probes.npz"))
    assert again.digest == detector.digest != ClipDetector(model=model, concepts=concepts).digest


def test_concepts_alone_need_no_labels(tiny: Path) -> None:
    """Without zero-shot labels there is nothing to be neutral about."""
    detector = ClipDetector(
        model=f"local-dir:{tiny}", labels={}, neutral=[], concepts={"sharp": ["a knife"]}
    )

    assert [f.label for f in detector(people("gun", count=1))[0]] == ["sharp"]


@pytest.mark.parametrize(
    "settings",
    [
        {"templates": ["a photo"]},
        {"templates": []},
        {"concepts": {"x": []}},
        {"concepts": {"weapon": ["a knife"]}},
        {"labels": {"x": "a knife"}},
        {"labels": "weapon"},
        {"batch_size": 1, "probes": "missing.npz"},
    ],
)
def test_settings_that_make_no_sense_are_errors(settings: dict[str, object]) -> None:
    """A mistake in a policy is told when the detector is made."""
    with pytest.raises(InputError):
        load_detector("clip", **settings)
