"""`safegen vectors` where folders and shipped sets might be taken for each other."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from PIL import Image
from test_cli_vector_tools import run
from typer.testing import CliRunner

from safegen.cli import vector_card, vectors
from safegen.cli.main import app
from safegen.concepts.card import Card
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import save_vector
from safegen.errors import InputError, OutputError
from safegen.evaluation import card as evaluation_card
from safegen.evaluation import eyes
from safegen.testing import random_vector, tiny_pipeline

SHIPPED = VectorStore("reference")


class Measured:
    """Stands in for a measurement: the card that ships, for concepts that have prompts."""

    def __init__(self, _: Any, vector: Any, case: Any, *__: Any) -> None:
        if not case.unrelated:
            raise InputError(f"there are no unrelated prompts for {vector.passport.concept}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def card(self) -> Card:
        """Of woman."""
        made = SHIPPED["woman"].passport.card
        assert made is not None
        return made

    def strip(self) -> Image.Image:
        """A small picture."""
        return Image.new("RGB", (4, 4))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards cost nothing, and no model is opened for them."""
    monkeypatch.setattr(evaluation_card, "Measurement", Measured)
    monkeypatch.setattr(eyes, "eyes_for", lambda *_, **__: None)
    monkeypatch.setattr(vector_card, "open_pipeline", lambda _: None)


def state(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("store", ["reference", str(SHIPPED.folder)])
def test_a_card_is_not_written_into_the_package(store: str) -> None:
    """Shipped vectors are measured and shown; no file of theirs changes, none comes beside them."""
    before = state(SHIPPED.folder)
    told = run("card", "woman", "--store", store)

    assert told["woman"]["verdict"] == "works"
    assert state(SHIPPED.folder) == before


@pytest.mark.usefixtures("measured")
def test_a_card_is_written_into_a_folder_of_ones_own(tmp_path: Path) -> None:
    """The file gets it, with a picture beside; a copy's values stay."""
    save_vector(SHIPPED["woman"], tmp_path / "woman.safetensors")
    run("card", "woman", "--store", str(tmp_path))

    assert sorted(state(tmp_path)) == ["woman.png", "woman.safetensors"]
    assert VectorStore(tmp_path)["woman"].digest == SHIPPED["woman"].digest


@pytest.mark.parametrize(
    "command",
    [
        ["compose", "firm", "woman=0.5"],
        ["centre", "woman", "man"],
        ["pull", "me/vectors"],
        ["export"],
        ["discover", "concepts.yaml", "--no-card"],
    ],
)
def test_no_command_writes_into_the_package(command: list[str], tmp_path: Path) -> None:
    """Whatever it would write, it says so before anything changes."""
    before = state(SHIPPED.folder)
    (tmp_path / "concepts.yaml").write_text("concepts: {x: {pairs: [{neutral: a, target: b}]}}")
    where = [str(SHIPPED.folder)] if command == ["export"] else ["--out", str(SHIPPED.folder)]
    given = [str(tmp_path / each) if each.endswith(".yaml") else each for each in command]
    with pytest.raises(OutputError, match="part of the installed package"):
        run(*given, *where)
    assert state(SHIPPED.folder) == before


def test_a_dot_is_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify --store .` reads the files that are there, and finds the one that is damaged."""
    path = tmp_path / "calm.safetensors"
    save_vector(random_vector("calm", {"mid_block": (8,)}), path)
    monkeypatch.chdir(tmp_path)
    assert run("list", "--store", ".") == ["calm"]
    path.write_bytes(path.read_bytes()[:-2] + b"zz")

    assert run("verify", "--store", ".", code=1)["intact"] is False


@pytest.mark.usefixtures("measured")
def test_a_card_that_cannot_be_made_stops_no_other(tmp_path: Path) -> None:
    """Nothing says what to measure the first on, the second gets its card; exit code 1."""
    woman = SHIPPED["woman"]
    bare = woman.passport.model_copy(update={"concept": "a", "prompts": {}})
    save_vector(replace(woman, passport=bare), tmp_path / "a.safetensors")
    save_vector(woman, tmp_path / "woman.safetensors")
    told = run("card", "--store", str(tmp_path), code=1)

    assert "declares no concept 'a'" in told["a"]["error"]
    assert told["woman"]["verdict"] == "works"


@pytest.mark.usefixtures("measured")
def test_only_what_was_learned_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vector beside it keeps its card; one without prompts to measure on gets none."""
    file, out = tmp_path / "concepts.yaml", tmp_path / "v"
    pairs = "pairs: [{neutral: 'a {job}', target: 'a hat on a {job}'}]"
    file.write_text(f"words: {{job: [cook, pilot]}}\nconcepts:\n  plain: {{{pairs}}}\n")
    save_vector(SHIPPED["woman"], out / "woman.safetensors")
    before = state(out)
    monkeypatch.setattr(vectors, "open_pipeline", lambda *_: tiny_pipeline())
    small = ["--trajectories=8", "--steps=10", "--learning-rate=0.005"]
    given = ["discover", str(file), "--out", str(out), *small]
    done = CliRunner().invoke(app, ["vectors", *given, "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert told["written"] == [str(out / "plain.safetensors")]
    assert "no held-out and no unrelated prompts" in told["not_measured"]["plain"]
    assert "plain will get no card" in done.stderr

    more = f"unrelated: [a cat]\nheld_out: {{job: [guard]}}\n{file.read_text()}  hat: {{{pairs}}}"
    file.write_text(more)
    assert run(*given, "--only", "hat")["verdicts"] == {"hat": "works"}
    assert run(*given, "--only", "hat") == {
        "written": [],
        "kept": [str(out / "hat.safetensors")],
        "verdicts": {"hat": "works"},
        "not_measured": {},
    }
    assert before.items() <= state(out).items()


@pytest.mark.usefixtures("measured")
def test_what_a_kill_left_without_a_card_gets_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of vectors that were written before: the others keep their card, and are told of."""
    file, out = tmp_path / "concepts.yaml", tmp_path / "v"
    pair = "{neutral: 'a {job}', target: 'a %s on a {job}'}"
    file.write_text(
        "words: {job: [cook, pilot]}\nheld_out: {job: [guard]}\nunrelated: [a cat]\nconcepts:\n"
        + "".join(f"  {name}: {{pairs: [{pair % name}]}}\n" for name in ("hat", "scarf"))
    )
    monkeypatch.setattr(vectors, "open_pipeline", lambda *_: tiny_pipeline())
    given = ["discover", str(file), "--out", str(out), "--method=contrast", "--trajectories=8"]
    unmeasured = run(*given, "--no-card")["not_measured"]
    assert [*unmeasured] == ["hat", "scarf"]
    assert "safegen vectors card" in unmeasured["hat"]

    hat = VectorStore(out)["hat"]
    card = SHIPPED["woman"].passport.card
    assert card
    nothing = card.model_copy(update={"verdict": "no effect shown"})
    passport = hat.passport.model_copy(update={"card": nothing})
    save_vector(replace(hat, passport=passport), out / "hat.safetensors")
    kept = [str(out / f"{name}.safetensors") for name in ("hat", "scarf")]
    assert run(*given, "--no-card") == {
        "written": [],
        "kept": kept,
        "verdicts": {"hat": "no effect shown"},
        "not_measured": {"scarf": unmeasured["scarf"]},
    }
    assert run(*given) == {
        "written": [],
        "kept": kept,
        "verdicts": {"hat": "no effect shown", "scarf": "works"},
        "not_measured": {},
    }
    told = CliRunner().invoke(app, ["vectors", *given], catch_exceptions=False).stdout
    assert told.splitlines() == [f"{kept[0]}  kept; no effect shown", f"{kept[1]}  kept; works"]
