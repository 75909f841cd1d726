"""`safegen eval`: a report of figures, kept answers, and mistakes that are told."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from safegen.cli.main import app
from safegen.errors import InputError, OutputError
from safegen.evaluation.opening import open_bare
from safegen.policy import Policy
from safegen.reference import WEIGHTS

JUDGE, AUDIT = (f"local-dir:{WEIGHTS / name}" for name in ("judge-clip", "clip"))
SMALL = ["--images", "1", "--limit", "1", "--steps", "2", "--json"]


@pytest.mark.slow
def test_a_protocol_ends_in_a_report(tmp_path: Path) -> None:
    """JSON on stdout and in the folder, a page without foreign parts, and nothing asked twice."""
    command = ["eval", "safe", "--guard", "none", "--out", str(tmp_path), *SMALL]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    figures = told["results"]["safe"]["none"]["figures"]
    assert figures["inappropriate_probability"]["n"] == 1
    assert json.loads((tmp_path / "report.json").read_text()) == told
    assert "http" not in (tmp_path / "report.html").read_text().replace("xmlns", "")

    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "answers").rglob("answer.json")}
    again = CliRunner().invoke(app, command)
    assert json.loads(again.stdout) == told
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(kept) == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference model in a folder, as any other model comes, and files of prompts."""
    folder = tmp_path_factory.mktemp("photographic")
    open_bare("reference").save_pretrained(folder / "model")
    (folder / "prompts.csv").write_text(
        "prompt,categories,sd_seed,sd_guidance_scale\n"
        'a guard,"violence, shocking",7,9.5\n'
        "a cook,shocking,8,2\n"
    )
    (folder / "captions.csv").write_text("prompt,evaluation_seed\na cat,5\na tree,6\n")
    (folder / "occupations.txt").write_text("cook\njudge\n")
    return folder


def photographic(folder: Path, *arguments: str) -> list[str]:
    """A command on the model in the folder."""
    given = ["--model", str(folder / "model"), "--prompts", str(folder / "prompts.csv")]
    files = ["--occupations", str(folder / "occupations.txt")]
    captions = ["--captions", str(folder / "captions.csv"), "--steps", "2", "--json"]
    return ["eval", *arguments, *given, *files, *captions]


@pytest.mark.slow
def test_a_model_in_a_folder_is_measured(folder: Path, tmp_path: Path) -> None:
    """The same protocols, with the seeds and guidance of the file; the report names the judges."""
    command = photographic(folder, "fair", "safe", "quality", "--guard", "none")
    small = ["--images", "6", "--per-prompt", "2", "--judge-clip", JUDGE, "--out", str(tmp_path)]
    done = CliRunner().invoke(app, [*command, *small])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)

    fair = told["results"]["fair"]["none"]
    assert [row["images"] for row in fair["rows"]] == [6, 6]
    assert "gender_and_race_deviation_ratio" in fair["figures"]
    safe = told["results"]["safe"]["none"]
    assert [(row["category"], row["images"]) for row in safe["rows"]] == [
        ("violence", 2),
        ("shocking", 4),
    ]
    assert safe["figures"]["nudity_9_at_0.6"]["n"] == 4
    assert told["results"]["quality"]["none"]["figures"]["identical"]["value"] == 1
    about = told["about"]
    assert {"judge: nudenet", f"judge: clip {JUDGE}"} <= set(about)
    assert {"vectors", "published", "against", "device", "torch"} <= set(about)
    assert about["attributes"] == ["gender", "race"]
    assert (about["scale"]["fair_images"], about["scale"]["safe_images"]) == (6, 2)
    assert about["prompts"].startswith(f"{folder / 'prompts.csv'} sha256:")
    kept = [json.loads(p.read_text())["ask"] for p in (tmp_path / "answers").rglob("answer.json")]
    asked = {ask["prompt"]: (ask["seed"], ask["guidance_scale"]) for ask in kept}
    assert asked["a guard"] == (7, 9.5)
    assert asked["a cook"] == (8, 2)
    assert asked["a tree"] == (6, 7.5)


@pytest.mark.slow
def test_prompts_of_a_file_are_attacked(folder: Path, tmp_path: Path) -> None:
    """With the seed and guidance that stand beside them; the base prompt is asked first."""
    small = ["--attack", "black-box", "--attacked", "1", "--judge-clip", JUDGE]
    command = photographic(folder, "attacks", "--guard", "none", *small, "--out", str(tmp_path))
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["results"]["attacks"]["none"]
    assert found["figures"].keys() == {"before", "black-box", "attack_success"}
    assert [row["prompt"] for row in found["rows"]] == ["a guard"]
    kept = [json.loads(p.read_text())["ask"] for p in (tmp_path / "answers").rglob("answer.json")]
    assert {(ask["seed"], ask["guidance_scale"]) for ask in kept} == {(7, 9.5)}


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (["--judge-clip", AUDIT], "audits by the detector 'clip', which is the judge"),
        (["--judge-clip", JUDGE, "--judge-nudity", "nsfw"], "audits by the detector 'nsfw'"),
    ],
)
def test_what_audits_does_not_judge(
    folder: Path, tmp_path: Path, judge: list[str], message: str
) -> None:
    """A CLIP or a detector that the policy audits with is refused before an image is made."""
    command = photographic(folder, "safe", "--out", str(tmp_path), *judge)
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, InputError)
    assert message in result.exception.message
    assert not list((tmp_path / "answers").rglob("answer.json"))


def test_a_plan_loads_nothing(folder: Path) -> None:
    """It counts prompts and images of a model that is not there."""
    command = photographic(folder, "fair", "safe", "--plan")
    command[command.index("--model") + 1] = "nowhere/to-be-found"
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "guards": ["none", "default"],
        "each": {
            "fair": {"prompts": 10, "images": 200, "searches": 0},
            "safe": {"prompts": 2, "images": 20, "searches": 0},
        },
    }
    table = CliRunner().invoke(app, [each for each in command if each != "--json"])
    assert "for each of none, default" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "unfair"], "no protocol 'unfair'"),
        (["eval", "fair", "--model", "/elsewhere"], "cannot load the model '/elsewhere'"),
        (["eval", "attacks", "--attack", "me"], "no attack 'me'"),
        (["eval", "fair", "--attribute", "age"], "no attribute 'age'"),
        (["eval", "fair", "--occupations", "mine.txt"], "judges of its own, got --occupations"),
        (["eval", "safe", "--model", "sd", "--category", "rude"], "no category 'rude'"),
        (["eval", "safe", "--model", "sd", "--judge-nudity", "me"], "no judge of nudity 'me'"),
        (["eval", "safe", "--model", "sd", "--against", "nudity"], "CATEGORY=CONCEPT"),
        (["eval", "safe", "--model", "sd", "--plan"], "no prompts for the protocol 'safe'"),
        (["eval", "quality", "--model", "sd", "--plan"], "no prompts for the protocol 'quality'"),
        (["eval", "safe", "--guard", "nobody"], "no subject 'nobody'"),
        (["eval", "safe", "--guard", "nobody", "--plan"], "no subject 'nobody'"),
        (["eval", "fair", "--seed", "9000000", "--model", "/elsewhere"], "expected a seed from 0"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, arguments: list[str], message: str) -> None:
    """Names that do not exist are errors that list those that do."""
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path), *SMALL])
    assert isinstance(result.exception, InputError)
    assert message in result.exception.message


def test_nothing_is_measured_before_all_subjects_are_known_to_do(tmp_path: Path) -> None:
    """A subject that there is not is told at once, not when its turn comes."""
    command = ["eval", "safe", "--guard", "none", "--guard", "nobody"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path), *SMALL])

    assert isinstance(result.exception, InputError)
    assert "no subject 'nobody'" in result.exception.message
    assert not [*tmp_path.rglob("answer.json")]


@pytest.mark.slow
def test_ray_makes_the_same_images(tmp_path: Path) -> None:
    """Two actors answer what one process does, guards of theirs write ledgers, and answers stay."""
    command = ["eval", "safe", "--guard", "none", "--guard", "default", *SMALL, "--limit", "2"]
    local, spread = (
        CliRunner().invoke(app, [*command, "--out", str(tmp_path / name), *engine])
        for name, engine in (("here", []), ("ray", ["--engine", "ray", "--actors", "2"]))
    )
    assert (local.exit_code, spread.exit_code) == (0, 0), spread.output
    assert json.loads(spread.stdout)["results"] == json.loads(local.stdout)["results"]
    answers = tmp_path / "ray" / "answers"
    assert len([*answers.glob("*/answer.json")]) == 4
    assert [*answers.glob("actor-*/ledger/*")]


def test_a_plan_counts_what_can_be_done(tmp_path: Path) -> None:
    """Only 20 prompts do not ask, so 60 are 50; SLD takes no embedding."""
    guards = ["--guard", "none", "--guard", "sld"]
    command = ["eval", "attacks", *guards, "--attacked", "60", "--plan", "--out", str(tmp_path)]
    told = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert told["each"]["attacks"] == {"prompts": 50, "images": 600, "searches": 250}
    assert told["but"] == {"sld": {"attacks": {"prompts": 50, "images": 500, "searches": 200}}}
    assert "attacks, but sld" in CliRunner().invoke(app, command).stdout


def test_missing_prompts_are_told_before_a_model_is_loaded(tmp_path: Path) -> None:
    """Not after hours of the protocols that have theirs; the model is not even looked for."""
    command = ["eval", "fair", "quality", "--model", "/elsewhere", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, InputError)
    assert "no prompts for the protocol 'quality'" in result.exception.message


def test_all_skips_what_files_of_prompts_cannot_say(folder: Path) -> None:
    """`safe-asked` is left out on a photographic model, and said to be."""
    done = CliRunner().invoke(app, photographic(folder, "all", "--plan"))
    assert done.exit_code == 0, done.output
    assert "skipped: safe-asked" in done.stderr
    assert {"safe", "attacks"} < json.loads(done.stdout)["each"].keys()
    assert "safe-asked" not in json.loads(done.stdout)["each"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--seed", "1"], "another seed: 0, not 1"),
        (["--model", "/elsewhere"], "another model: reference, not /elsewhere"),
        (["--policy", "strict"], "another policy: default sha256:"),
    ],
)
def test_no_report_takes_the_place_of_another(
    tmp_path: Path, changed: list[str], message: str
) -> None:
    """Told before a model is loaded; the report that is there stays."""
    policy = Policy.load("default")
    there = {"policy": f"default {policy.digest}", "model": "reference", "seed": 0}
    (tmp_path / "report.json").write_text(json.dumps({"about": there}))
    result = CliRunner().invoke(app, ["eval", "fair", "--out", str(tmp_path), *SMALL, *changed])
    assert isinstance(result.exception, OutputError)
    assert message in result.exception.message
    assert json.loads((tmp_path / "report.json").read_text()) == {"about": there}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the report of one protocol on the bare model."""
    folder = tmp_path_factory.mktemp("measured")
    command = ["eval", "text", "--guard", "none", "--out", str(folder), *SMALL]
    assert CliRunner().invoke(app, command).exit_code == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["over-blocking", "--guard", "none"], "would be lost: text of none"),
        (["text", "--guard", "default"], "would be lost: text of none"),
        (["text", "--guard", "none", "--images", "50"], "another fair_images: 1, not 50"),
        (["text", "--guard", "none", "--steps", "3"], "another steps: 2, not 3"),
        (["text", "--guard", "none", "--attribute", "tone"], "another attributes: ['gender', "),
        (["text", "--guard", "none", "--vectors", "mine"], "another vectors: reference, not mine"),
    ],
)
def test_nothing_that_was_measured_is_lost(
    measured: Path, changed: list[str], message: str
) -> None:
    """Another protocol, guard, scale or setting in a folder is refused before anything is made."""
    before = {path: path.read_bytes() for path in measured.glob("report.*")}
    command = ["eval", *changed[:3], "--out", str(measured), *SMALL, *changed[3:]]
    result = CliRunner().invoke(app, command)

    assert isinstance(result.exception, OutputError)
    assert message in result.exception.message
    assert "move report.json and report.html elsewhere" in (result.exception.mend or "")
    assert {path: path.read_bytes() for path in measured.glob("report.*")} == before


@pytest.mark.slow
def test_more_is_added_to_a_report(measured: Path, tmp_path: Path) -> None:
    """Who asks for what is there too gets both, and only what is new is made."""
    folder = shutil.copytree(measured, tmp_path / "out")
    before = json.loads((folder / "report.json").read_text())["results"]
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("answer.json")}
    command = ["eval", "text", "over-blocking", "--guard", "none", "--out", str(folder), *SMALL]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output

    told = json.loads(done.stdout)["results"]
    assert told.keys() == {"text", "over-blocking"}
    assert told["text"] == before["text"]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("answer.json")} == kept
