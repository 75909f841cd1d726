"""`safegen vectors` beyond learning: what the tools print, write and refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from safegen.cli.main import app
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import save_vector
from safegen.errors import ConceptError, InputError, OutputError
from safegen.testing import random_vector, tiny_pipeline


def run(*arguments: str, code: int = 0) -> Any:
    """What a command prints with --json."""
    done = CliRunner().invoke(app, ["vectors", *arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == code
    return json.loads(done.stdout)


def test_compare_shows_shipped_vectors() -> None:
    """Woman and man lead apart, at both sites; the table has the same figures."""
    told = run("compare", "woman", "man")

    assert told.keys() == VectorStore("reference")["woman"].arrays.keys()
    for at in told.values():
        assert at["names"] == ["woman", "man"]
        assert at["cosines"][0][1] == at["cosines"][1][0] < 0
    done = CliRunner().invoke(app, ["vectors", "compare", "woman", "man"])
    assert "cosine" not in done.stderr
    assert f"{told['mid_block']['cosines'][0][1]:+.2f}" in done.stdout


def test_compose_writes_a_vector_with_a_passport(tmp_path: Path) -> None:
    """A sum of two; a second time it is there already."""
    out = str(tmp_path / "v")
    told = run("compose", "older", "woman=0.5", "dark=-1", "--out", out)
    made, parts = VectorStore(out)["older"], VectorStore("reference")

    assert told["written"] == [f"{out}/older.safetensors"]
    assert made.passport.settings["weight of dark"] == -1
    assert made.passport.settings["digest of woman"] == parts["woman"].digest
    with pytest.raises(OutputError, match="there already"):
        run("compose", "older", "woman=0.5", "--out", out)


@pytest.mark.parametrize("part", ["woman", "woman=much", "=", "woman=nan"])
def test_compose_refuses_what_is_no_weight(part: str, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises((InputError, ConceptError), match=r"expected CONCEPT=WEIGHT|not finite"):
        run("compose", "x", part, "--out", str(tmp_path / "v"))
    assert not (tmp_path / "v").exists()


def test_centre_writes_each_of_the_group(tmp_path: Path) -> None:
    """Under the same names, in another folder."""
    run("centre", "light", "medium", "dark", "--out", str(tmp_path))

    centred = VectorStore(tmp_path)
    assert centred.names == ("dark", "light", "medium")
    total = sum(centred[name].arrays["mid_block"] for name in centred.names)
    assert abs(total).max() < 0.01  # fp16


def test_verify_finds_the_one_that_is_damaged(tmp_path: Path) -> None:
    """And says of the others that they are whole; exit code 1."""
    for name in ("calm", "bright"):
        save_vector(random_vector(name, {"mid_block": (8,)}), tmp_path / f"{name}.safetensors")
    assert run("verify", "--store", str(tmp_path))["intact"] is True
    path = tmp_path / "calm.safetensors"
    path.write_bytes(path.read_bytes()[:-2] + b"zz")

    told = run("verify", "--store", str(tmp_path), code=1)
    assert not told["intact"]
    assert {row["concept"]: bool(row["error"]) for row in told["vectors"]} == {
        "bright": False,
        "calm": True,
    }


def test_verify_holds_a_vector_against_what_is_expected(tmp_path: Path) -> None:
    """Another digest than the record's, another model, a vector that is gone."""
    digest = VectorStore("reference")["woman"].digest
    assert run("verify", "woman", "--expect", f"woman={digest}")["intact"] is True
    told = run("verify", "woman", "--expect", "woman=sha256:00", code=1)
    assert told["vectors"][0]["error"] == "expected sha256:00"

    tiny_pipeline().save_pretrained(tmp_path / "model")
    told = run("verify", "woman", "--model", str(tmp_path / "model"), code=1)
    assert "made for the model" in told["vectors"][0]["error"]
    assert run("verify", "woman", "--model", "reference")["intact"] is True
    told = run("verify", "woman", "--expect", "gone=sha256:00", code=1)
    assert "no concept 'gone'" in told["vectors"][-1]["error"]


def test_import_and_export_of_the_published_format(tmp_path: Path) -> None:
    """A checkpoint becomes vectors that steer the model it was learned on, and goes back."""
    pipeline = tiny_pipeline()
    pipeline.save_pretrained(tmp_path / "model")
    weight = torch.randn(32 * 4 * 4, 2)
    torch.save({"controlnet.fc1.weight": weight}, tmp_path / "unet.pth")
    (tmp_path / "concept_dict.json").write_text('{"calm": 0, "bright": 1}')
    out, back = str(tmp_path / "v"), str(tmp_path / "back")
    checkpoint, model = str(tmp_path / "unet.pth"), str(tmp_path / "model")
    run("import", checkpoint, "--channels", "32", "--model", model, "--out", out)

    assert run("verify", "--store", out, "--model", model)["intact"] is True
    run("export", back, "calm", "bright", "--store", out, "--format", "published")
    state = torch.load(tmp_path / "back" / "unet.pth", weights_only=True)
    assert torch.allclose(state["controlnet.fc1.weight"], weight, atol=2e-3)  # fp16 between


def test_export_for_others_has_a_readme(tmp_path: Path) -> None:
    """The files are the vectors, the README says where from."""
    told = run("export", str(tmp_path), "woman")

    assert VectorStore(tmp_path)["woman"].digest == VectorStore("reference")["woman"].digest
    readme = Path(told["written"][-1]).read_text()
    assert VectorStore("reference")["woman"].passport.model_digest in readme
    done = CliRunner().invoke(app, ["vectors", "export", str(tmp_path), "--format", "zip"])
    assert done.exit_code == 2
    assert "safegen or published" in done.output


@pytest.mark.slow
def test_a_card_goes_into_the_file_and_a_picture_beside_it(tmp_path: Path) -> None:
    """Measured on the held-out words that ship for the reference model; the values stay."""
    copied = VectorStore("reference")["woman"]
    save_vector(copied, tmp_path / "woman.safetensors")
    few = ["--images", "1", "--prompts", "2", "--steps", "4"]
    told = run("card", "woman", "--store", str(tmp_path), *few)["woman"]
    carded = VectorStore(tmp_path)["woman"]

    assert carded.passport.card is not None
    assert carded.passport.card.model_dump(mode="json") == told
    assert carded.digest == copied.digest
    assert (tmp_path / "woman.png").stat().st_size > 1000
    shown = CliRunner().invoke(app, ["vectors", "show", "woman", "--store", str(tmp_path)])
    assert "at the recommended dose" in shown.stdout


def test_a_card_needs_words_and_a_judge(tmp_path: Path) -> None:
    """A concept that the reference file does not declare; a model that nobody judges."""
    save_vector(random_vector("calm", {"mid_block": (32,)}), tmp_path / "calm.safetensors")
    with pytest.raises(InputError, match="declares no concept 'calm'"):
        run("card", "calm", "--store", str(tmp_path))
    with pytest.raises(InputError, match="--clip"):
        run("card", "calm", "--store", str(tmp_path), "--model", "elsewhere")


@pytest.mark.parametrize("expected", ["woman=", "woman=sha256:", "=sha256:00", "woman", "woman=00"])
def test_verify_expects_a_digest(expected: str) -> None:
    """A variable that was empty in a script must not make every file the expected one."""
    with pytest.raises(InputError, match="expected CONCEPT=sha256"):
        run("verify", "woman", "--expect", expected)


def test_verify_finds_nothing_intact_where_nothing_is(tmp_path: Path) -> None:
    """An empty folder is an error, as for the other commands."""
    with pytest.raises(InputError, match="holds no vectors"):
        run("verify", "--store", str(tmp_path))


def test_compose_refuses_a_part_that_is_named_twice(tmp_path: Path) -> None:
    """Whether both weights count or the last, nobody could tell."""
    with pytest.raises(InputError, match="woman is given twice"):
        run("compose", "x", "woman=0.5", "woman=0.5", "--out", str(tmp_path / "v"))
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("name", ["../outside", "a b", "", "a/b", "con", "nul.x", ".hidden", "a\n"])
def test_compose_checks_the_name(name: str, tmp_path: Path) -> None:
    """It becomes a file's name, in --out and nowhere else."""
    with pytest.raises(InputError, match=r"not a concept's name|Windows"):
        run("compose", name, "woman=0.5", "--out", str(tmp_path / "v"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("format_", "name"),
    [
        ("safegen", "README.md"),
        ("safegen", "woman.safetensors"),
        ("published", "unet.pth"),
        ("published", "concept_dict.json"),
    ],
)
def test_export_replaces_nothing_of_ones_own(format_: str, name: str, tmp_path: Path) -> None:
    """A project's README or a trained checkpoint stays, and then nothing at all is written."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=f"{name} would be replaced"):
        run("export", str(tmp_path), "woman", "--format", format_)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("format_", ["safegen", "published"])
def test_export_writes_the_same_again(format_: str, tmp_path: Path) -> None:
    """What it wrote itself is no obstacle; another vector of the name is."""
    for _ in range(2):
        run("export", str(tmp_path), "woman", "--format", format_)
    run("export", str(tmp_path / "other"), "woman", "man", "--format", format_)
    save_vector(random_vector("woman", {"mid_block": (32, 2, 2)}), tmp_path / "s/woman.safetensors")
    with pytest.raises(OutputError, match="would be replaced"):
        run("export", str(tmp_path), "--store", str(tmp_path / "s"), "--format", format_)
