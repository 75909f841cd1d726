"""The text head: trained from rows, saved, loaded, and what it says of prompts."""

import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from safegen.errors import ClassifierError, InputError
from safegen.risk.data import Row
from safegen.risk.denied import Denied
from safegen.risk.head import Head, HeadClassifier, HeadSettings, words, words_digest
from safegen.risk.training import train

SHIPPED = str(files("safegen.risk") / "assets" / "head.safetensors")
STORM = ("a {} storm wrecks a ship", "lightning over a {} wreck", "a {} hurricane and drowned men")
CALM = ("a {} lake at noon", "a quiet {} meadow", "a {} cat asleep in the sun")
LOOKS = ("grey", "blue", "vast", "old", "small", "bright", "misty", "lonely")


def rows() -> list[Row]:
    """Stormy prompts as risky and calm ones as harmless."""
    return [
        Row(source=source, prompt=scene.format(look), risk=risk)
        for source, scenes, risk in (("mixed", STORM, 1.0), ("mixed", CALM, 0.0))
        for scene in scenes
        for look in LOOKS
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head trained on these rows."""
    path = tmp_path_factory.mktemp("head") / "head.safetensors"
    train(rows(), seed=3).save(path)
    return path


def risks(path: Path, *prompts: str) -> list[float]:
    """What the head at the path says."""
    classifier = HeadClassifier("head", HeadSettings(kind="head", path=str(path)))
    return [scores.values["risk"] for scores in classifier(prompts)]


def test_a_trained_head_knows_unseen_prompts(trained: Path) -> None:
    """Prompts of the same kinds, in words that it was not trained on, are told apart."""
    stormy, calm = risks(trained, "a tempest sinks the boat", "a kitten naps on the grass")

    assert stormy > 0.5 > calm


def test_training_repeats_itself(trained: Path, tmp_path: Path) -> None:
    """The same rows and seed give the same file."""
    train(rows(), seed=3).save(tmp_path / "again.safetensors")

    assert (tmp_path / "again.safetensors").read_bytes() == trained.read_bytes()


def test_training_needs_both_kinds() -> None:
    """Rows that are all harmless teach nothing, and that is an error."""
    with pytest.raises(InputError, match="only one of them"):
        train([row for row in rows() if row.cold])


def test_the_shipped_head_tells_gore_from_a_meadow() -> None:
    """Without a path the shipped head answers, with its parts beside the risk."""
    head = HeadClassifier("head", HeadSettings(kind="head"))
    bad, good = head(["bloody corpses after a massacre, horror", "a dog on a meadow"])

    assert bad.values["risk"] > 0.8
    assert good.values["risk"] < 0.2
    assert set(bad.values) == {"risk", "semantic", "lexical"}
    assert head.digest.startswith("sha256:")


def test_the_riskiest_window_of_a_long_prompt_counts() -> None:
    """Wherever it stands."""
    calm, gore = "a dog on a meadow, " * 20, "bloody corpses after a massacre, horror"
    head = HeadClassifier("head", HeadSettings(kind="head"))
    alone, last = (scores.values["risk"] for scores in head([calm, calm + gore]))

    assert alone < 0.1
    assert last > 0.5


@pytest.mark.parametrize(
    ("prompt", "same_as"),
    [
        ("a castle, no blood, gore or guns", "a castle"),
        ("please no blood, a knight after the battle", "a knight after the battle"),
        ("a corpse, no blood", "a corpse"),
        ("a man without mercy, blood", "a man without mercy, blood"),
    ],
)
def test_what_is_denied_is_not_read(prompt: str, same_as: str) -> None:
    """A word that a prompt rules out makes no risk, and hides none."""
    settings = HeadSettings(kind="head", denied=("blood", "gore", "gun"))
    denied = HeadClassifier("head", settings)([prompt])[0].values["risk"]
    bare = HeadClassifier("head", HeadSettings(kind="head"))
    other = bare([same_as])[0].values["risk"]

    assert denied == pytest.approx(other, abs=0.05)
    assert HeadClassifier("head", settings).digest != bare.digest


def test_what_is_left_of_a_prompt_begins_and_ends_with_words() -> None:
    """A comma in front of it changes what is read."""
    denied = Denied(["blood", "gun"])

    assert denied.told("no blood, a knight, no guns") == "a knight"
    assert denied.told(", a knight") == ", a knight"


def test_the_card_is_that_of_the_shipped_head() -> None:
    """The card beside the weights names their digest."""
    assets = files("safegen.risk") / "assets"
    card = YAML(typ="safe").load((assets / "card.yaml").read_text(encoding="utf-8"))

    weights = (assets / card["weights"]).read_bytes()
    assert card["sha256"] == hashlib.sha256(weights).hexdigest()


def test_the_shipped_head_was_trained_on_the_words_that_it_is_given() -> None:
    """If this fails, prompts are read in another way: train the head again as its card says."""
    with safe_open(SHIPPED, framework="numpy") as file:
        assert file.metadata() == {"words": words_digest()}


def test_a_head_for_other_words_is_refused(tmp_path: Path) -> None:
    """It would be scored on what it was not trained on."""
    arrays = load_file(SHIPPED)
    for name, metadata in (("old", None), ("other", {"words": "sha256:0"})):
        save_file(arrays, tmp_path / name, metadata=metadata)
        with pytest.raises(ClassifierError, match="reads prompts in another way"):
            Head.load(tmp_path / name)


@pytest.mark.parametrize("prompt", ["", "  \n", "\ud800", "!", "🪦", "\u200b" * 99])
def test_any_prompt_has_a_risk(prompt: str) -> None:
    """Prompts without words are scored too."""
    [scores] = HeadClassifier("head", HeadSettings(kind="head"))([prompt])

    assert 0 <= scores.values["risk"] <= 1


def test_disguises_do_not_change_the_words() -> None:
    """The lexical part sees through leetspeak and spaces, as the term lists do."""
    plain, disguised = words("a knife fight"), words("a k.n.i.f.e f1ght")

    assert np.array_equal(plain[0], disguised[0])


def test_a_damaged_head(tmp_path: Path) -> None:
    """Bytes that are no head, or another model's arrays, are an error with a mend."""
    path = tmp_path / "head.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ClassifierError, match="cannot read the head"):
        Head.load(path)
    Head({"centres": np.zeros((2, 384)), "words": np.zeros(3)}).save(path)
    with pytest.raises(ClassifierError, match="no head") as error:
        Head.load(path)
    assert "risk train" in (error.value.mend or "")
