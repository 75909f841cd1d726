"""Text-classification models of transformers, on a tiny random one made here."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

from safegen.errors import ClassifierError
from safegen.risk.huggingface import HuggingFaceClassifier, HuggingFaceSettings

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "knife", "cat"]


def save_model(folder: Path, logits: list[float] | None = None, **config: Any) -> Path:
    """A tiny model with random weights and two labels, or one that always gives these logits."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=16).save_pretrained(folder)
    torch.manual_seed(0)
    tiny = BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=16,
        **({"id2label": {0: "fine", 1: "toxic"}, "label2id": {"fine": 0, "toxic": 1}} | config),
    )  # fmt: skip
    made = BertForSequenceClassification(tiny)
    if logits is not None:
        with torch.no_grad():
            made.classifier.weight.zero_()
            made.classifier.bias.copy_(torch.tensor(logits))
    made.save_pretrained(folder)
    return folder


def rewrite(folder: Path, **changes: Any) -> None:
    """Change keys of a model's config.json by hand; None takes a key out."""
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    told = {key: value for key, value in config.items() if value is not None}
    file.write_text(json.dumps(told))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a model."""
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


def classifier(model: Path | str, labels: Any = None, **scores: str) -> HuggingFaceClassifier:
    """A classifier of that model."""
    settings = HuggingFaceSettings(
        kind="huggingface", model=str(model), labels=labels, scores=scores
    )
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


def test_columns_are_those_of_id2label(tmp_path: Path) -> None:
    """Without label2id, or with its numbers as text, the label stands where id2label says."""
    model = save_model(tmp_path / "biased", logits=[0.0, 3.0])
    for told in (None, {}, {"fine": "0", "toxic": "1"}):
        rewrite(model, label2id=told)
        [scores] = classifier(model, hate="toxic", fine="fine")(["a knife"])
        assert scores.values == pytest.approx({"hate": 0.9526, "fine": 0.0474}, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label2id": {"fine": 1, "toxic": 0}}, "label2id says"),
        ({"label2id": {"fine": 0, "toxic": 7}}, "label2id says"),
        ({"label2id": {"fine": 0, "toxic": -2}}, "label2id says"),
        ({"label2id": {"toxic": 1}}, "label2id says"),
        ({"label2id": ["fine", "toxic"]}, "label2id says"),
        ({"id2label": {1: "fine", 2: "toxic"}, "label2id": None}, "from 0, got the ids"),
        ({"id2label": {0: "toxic", 1: "toxic"}, "label2id": None}, "more than one label 'toxic'"),
        ({"id2label": {0: "a", 1: "b", 2: "toxic"}, "label2id": None}, "cannot load"),
        ({"id2label": ["fine", "toxic"]}, "cannot load"),
        ({"id2label": {"x": "fine", "y": "toxic"}}, "cannot load"),
        ({"hidden_size": 16}, "cannot load"),
        ({"problem_type": "regression"}, "got the problem_type 'regression'"),
    ],
)
def test_a_config_that_contradicts_itself(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    """A map of labels that cannot be right is an error, and never read in one of two ways."""
    model = save_model(tmp_path / "odd", logits=[0.0, 3.0])
    rewrite(model, **changes)

    with pytest.raises(ClassifierError, match=told) as error:
        classifier(model, hate="toxic")
    assert error.value.mend


def test_labels_without_names_are_numbered(tmp_path: Path) -> None:
    """A config without any map has transformers' own names, which the error lists."""
    model = save_model(tmp_path / "unnamed", logits=[0.0, 3.0])
    rewrite(model, id2label=None, label2id=None)

    assert classifier(model, hate="LABEL_1")(["a"])[0].values["hate"] > 0.9
    with pytest.raises(ClassifierError, match="no label 'toxic'") as error:
        classifier(model, hate="toxic")
    assert "LABEL_0, LABEL_1" in (error.value.mend or "")


def test_settings_say_what_the_config_does_not(tmp_path: Path) -> None:
    """Labels of a model that does not tell are exclusive, unless the settings say otherwise."""
    names = [f"kind {number}" for number in range(5)] + ["toxic"]
    maps = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    model = save_model(tmp_path / "six", logits=[4.0] * 6, **maps)
    scored = {
        said: classifier(model, said, hate="toxic")(["a"])[0].values["hate"]
        for said in (None, "exclusive", "independent")
    }

    assert scored == pytest.approx({None: 1 / 6, "exclusive": 1 / 6, "independent": 0.982}, 1e-3)
    digests = {classifier(model, said, hate="toxic").digest for said in scored}
    assert len(digests) == 3


def test_settings_do_not_contradict_the_config(tmp_path: Path) -> None:
    """What a model declares of its labels is its training, which no setting changes."""
    several = save_model(tmp_path / "several", problem_type="multi_label_classification")
    one = save_model(tmp_path / "one", problem_type="single_label_classification")

    for model, said in ((several, "independent"), (one, "exclusive")):
        repeated = classifier(model, said, hate="toxic")(["a knife"])
        assert repeated == classifier(model, hate="toxic")(["a knife"])
    with pytest.raises(ClassifierError, match="`labels: exclusive` contradicts"):
        classifier(several, "exclusive", hate="toxic")
    with pytest.raises(ClassifierError, match="`labels: independent` contradicts"):
        classifier(one, "independent", hate="toxic")


def test_a_single_label(tmp_path: Path) -> None:
    """One label excludes nothing: it has its own probability, not always 1."""
    maps: dict[str, Any] = {"id2label": {0: "toxic"}, "label2id": {"toxic": 0}}
    alone = save_model(tmp_path / "alone", logits=[0.0], **maps)

    assert classifier(alone, hate="toxic")(["a"])[0].values["hate"] == pytest.approx(0.5)
    with pytest.raises(ClassifierError, match="and 1 labels"):
        classifier(alone, "exclusive", hate="toxic")


def test_a_model_without_a_head(tmp_path: Path) -> None:
    """Weights that do not classify get a random head from transformers; it is not taken."""
    bare = save_model(tmp_path / "bare")
    BertModel.from_pretrained(bare, add_pooling_layer=True).save_pretrained(bare)
    rewrite(bare, id2label={0: "fine", 1: "toxic"}, label2id={"fine": 0, "toxic": 1})

    with pytest.raises(ClassifierError, match=r"no weights for classifier\.bias"):
        classifier(bare, hate="toxic")


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    """A model that fails on a prompt is an error that says where to look."""
    model = save_model(tmp_path / "short")
    more = [*WORDS, *(f"word{number}" for number in range(20))]
    (tmp_path / "vocab.txt").write_text("\n".join(more), encoding="utf-8")
    BertTokenizerFast(str(tmp_path / "vocab.txt"), model_max_length=16).save_pretrained(model)
    api = classifier(model, hate="toxic")

    with pytest.raises(ClassifierError, match="cannot read the prompt: IndexError") as error:
        api(["word19"])
    assert "one and the same model" in (error.value.mend or "")
