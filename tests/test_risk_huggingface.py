"""Text-classification models of transformers, on a tiny random one made here."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from safegen.errors import ClassifierError
from safegen.risk.huggingface import HuggingFaceClassifier, HuggingFaceSettings

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "knife", "cat"]


def save_model(folder: Path, **config: Any) -> Path:
    """A tiny model with random weights and two labels."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=16).save_pretrained(folder)
    torch.manual_seed(0)
    tiny = BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=16, id2label={0: "fine", 1: "toxic"},
        label2id={"fine": 0, "toxic": 1}, **config,
    )  # fmt: skip
    BertForSequenceClassification(tiny).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a model."""
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


def classifier(model: Path | str, **scores: str) -> HuggingFaceClassifier:
    """A classifier of that model."""
    settings = HuggingFaceSettings(kind="huggingface", model=str(model), scores=scores)
    return HuggingFaceClassifier("hf", settings)


def test_labels_become_scores(model: Path) -> None:
    """The probabilities of exclusive labels sum to 1, and differ between prompts."""
    knife, cat = classifier(model, hate="toxic", fine="fine")(["a knife", "a cat"])

    assert sum(knife.values.values()) == pytest.approx(1)
    assert knife.values["hate"] != cat.values["hate"]


def test_labels_that_do_not_exclude_each_other(model: Path, tmp_path: Path) -> None:
    """A multi-label model gives each label a probability of its own."""
    several = save_model(tmp_path / "several", problem_type="multi_label_classification")
    [scores] = classifier(several, hate="toxic", fine="fine")(["a knife"])

    assert sum(scores.values.values()) != pytest.approx(1)


def test_nothing_of_a_long_prompt_is_skipped(model: Path) -> None:
    """A long prompt scores at least as high as its worst window."""
    api = classifier(model, hate="toxic")
    cats, mixed = api(["a cat " * 40, "a cat " * 40 + "a knife " * 40])
    [knives] = api(["a knife " * 40])

    assert mixed.values["hate"] >= max(cats.values["hate"], knives.values["hate"]) - 1e-6


@pytest.mark.parametrize("prompt", ["", "\ud800", "日本語", "\x00"])
def test_any_text_is_scored(model: Path, prompt: str) -> None:
    """Empty, broken and foreign text has a score."""
    assert 0 <= classifier(model, hate="toxic")([prompt])[0].values["hate"] <= 1


def test_a_huge_prompt_is_refused(model: Path) -> None:
    """What cannot be classified in bounded time is an error."""
    with pytest.raises(ClassifierError, match="at most 10000"):
        classifier(model, hate="toxic")(["a" * 10_001])


def test_the_digest_is_that_of_the_weights(model: Path, tmp_path: Path) -> None:
    """Other weights make another digest, the same ones the same."""
    other = save_model(tmp_path / "other", hidden_act="relu")

    assert classifier(model, hate="toxic").digest == classifier(model, hate="toxic").digest
    assert classifier(model, hate="toxic").digest != classifier(other, hate="toxic").digest


def test_an_unknown_label(model: Path) -> None:
    """A label that the model lacks is an error that lists those it has."""
    with pytest.raises(ClassifierError, match="no label 'toxik'") as error:
        classifier(model, hate="toxik")
    assert "fine, toxic" in (error.value.mend or "")


def test_no_model(tmp_path: Path) -> None:
    """A folder without a model is an error with a mend."""
    with pytest.raises(ClassifierError, match="cannot load") as error:
        classifier(tmp_path, hate="toxic")
    assert "safetensors" in (error.value.mend or "")
