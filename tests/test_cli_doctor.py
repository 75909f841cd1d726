"""`safegen doctor`, and how the command line answers as a whole."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

import safegen
from safegen.audit.detectors import detector_names
from safegen.cli.doctor import Diagnosis, diagnose
from safegen.cli.main import app, main
from safegen.risk.embedding import shared_embedder


@pytest.fixture(scope="module")
def diagnosis() -> Diagnosis:
    """The diagnosis of the machine that runs the tests."""
    return diagnose()


def run(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, with nothing to read from; `-m` looks in `folder` first."""
    return subprocess.run(
        [sys.executable, "-m", "safegen", *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=folder,
    )


def test_json_is_the_diagnosis() -> None:
    """`--json` prints one object that reads back as what was found."""
    result = CliRunner().invoke(app, ["doctor", "--json"])

    found = Diagnosis.model_validate_json(result.stdout)
    assert found == diagnose()
    assert result.exit_code == (0 if found.demo else 1)


def test_packages_are_those_installed(diagnosis: Diagnosis) -> None:
    """Versions are those of the installed packages; what is absent is null."""
    assert diagnosis.packages["pydantic"] == version("pydantic")
    assert diagnosis.packages["torch"] == version("torch")
    assert diagnosis.packages["onnxruntime-gpu"] is None


def test_extras_know_what_they_lack(diagnosis: Diagnosis) -> None:
    """An extra lists the requirements that are not met and the command that meets them."""
    assert set(diagnosis.extras) == {
        "c2pa",
        "clip",
        "diffusers",
        "evaluation",
        "faces",
        "gpu",
        "nsfw",
        "nudenet",
        "openvino",
        "otel",
        "parquet",
        "postgres",
        "ray",
        "remote",
        "review",
        "risk",
    }
    assert diagnosis.extras["diffusers"].missing == ()
    [lack] = diagnosis.extras["gpu"].missing
    assert lack.startswith("onnxruntime-gpu")
    assert diagnosis.extras["gpu"].install == "pip install 'safegen[gpu]'"


def test_classifiers_were_tried(diagnosis: Diagnosis) -> None:
    """Every kind that a policy may name is there, and what needs nothing of its own has scored."""
    kinds = {"encoder", "head", "http", "huggingface", "similarity", "terms"}

    assert set(diagnosis.classifiers) == kinds
    assert {diagnosis.classifiers[kind] for kind in ("terms", "head", "similarity")} == {"works"}
    assert diagnosis.classifiers["encoder"] == "its packages are there"


# Before it: open_clip, if it is imported without tokenizers, stays broken for the other tests.
@pytest.mark.usefixtures("diagnosis")
def test_a_classifier_without_its_packages_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a classifier lacks is named, with the command that brings it."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    shared_embedder.cache_clear()
    try:
        found = diagnose().classifiers
    finally:
        shared_embedder.cache_clear()

    assert "tokenizers" in found["head"]
    assert "pip install 'safegen[risk]'" in found["similarity"]


def test_devices_were_tried(diagnosis: Diagnosis) -> None:
    """Each device of this machine computed something; none that it lacks is listed."""
    assert diagnosis.devices["cpu"] == "works"
    gpus = [name for name in diagnosis.devices if name.startswith("cuda")]
    assert len(gpus) == torch.cuda.device_count()


def test_everything_shipped_is_there(diagnosis: Diagnosis) -> None:
    """Model, judges, vectors and policy are in the package, so that the demo can run."""
    assert diagnosis.shipped == dict.fromkeys(diagnosis.shipped, "whole")
    assert diagnosis.missing == ()
    assert diagnosis.demo


def test_missing_weights_are_named(tmp_path: Path) -> None:
    """A copy of the package without its weights says so, tells the mend and exits with 1."""
    package = Path(safegen.__file__).parent
    without = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copytree(package, tmp_path / "safegen", ignore=without)

    done = run("doctor", "--json", folder=tmp_path)

    assert done.returncode == 1, done.stderr
    found = Diagnosis.model_validate_json(done.stdout)
    assert not found.demo
    lacks = {lack.what.partition(":")[0]: lack.mend for lack in found.missing}
    assert set(lacks) == {"reference model", "reference judges", "reference CLIP", "judging CLIP"}
    assert lacks["reference model"].startswith("pip install")


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    """What is there, loads and is not what was shipped is told, and the detector does not work."""
    shutil.copytree(
        Path(safegen.__file__).parent,
        tmp_path / "safegen",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    weights = tmp_path / "safegen/reference/weights/clip/open_clip_model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 8 * 7].ljust(len(data), b"\0"))
    vector = tmp_path / "safegen/concepts/vectors/reference/man.safetensors"
    vector.write_bytes(vector.read_bytes()[:-2] + b"xy")

    done = run("doctor", "--json", folder=tmp_path)
    found = Diagnosis.model_validate_json(done.stdout)

    assert done.returncode == 1, done.stderr
    assert "open_clip_model.safetensors with sha256" in found.shipped["reference CLIP"]
    assert "man" in found.shipped["concept vectors"]
    assert found.shipped["reference model"] == "whole"
    assert "damaged" in found.detectors["clip"]
    assert found.detectors["nsfw"] == "works"
    assert [lack.what.partition(":")[0] for lack in found.missing] == [
        "reference CLIP",
        "concept vectors",
    ]


def test_detectors_are_tried(diagnosis: Diagnosis) -> None:
    """Each that is installed looks at a picture; each that is not says what brings it."""
    assert set(diagnosis.detectors) == set(detector_names())
    assert diagnosis.detectors["clip"] == diagnosis.detectors["nsfw"] == "works"
    for name in ("faces", "nudenet"):
        lacks = f"pip install 'safegen[{name}]'"
        state = diagnosis.detectors[name]
        assert lacks in state if diagnosis.extras[name].missing else state == "works"


def test_text_names_every_extra_and_device(diagnosis: Diagnosis) -> None:
    """Without `--json` the same is shown as a table for people."""
    output = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"}).stdout

    parts = (diagnosis.extras, diagnosis.classifiers, diagnosis.detectors, diagnosis.devices)
    for name in [name for part in (*parts, diagnosis.shipped) for name in part]:
        assert name in output


def test_version_is_the_installed_one() -> None:
    """`--version` prints the version of the installed package and nothing else."""
    done = run("--version")

    assert done.stdout == f"safegen {version('safegen')}\n"
    assert done.returncode == 0


def test_help_names_every_command() -> None:
    """`--help` leads to every group and command."""
    output = CliRunner().invoke(app, ["--help"]).stdout

    for name in ["demo", "generate", "policy", "audit", "vectors", "reference", "doctor"]:
        assert name in output


def test_an_error_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    """What the user can mend is told on stderr, without a traceback."""
    done = run("policy", "check", str(tmp_path / "absent.yaml"))

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "absent.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_json_when_json_was_asked_for(tmp_path: Path) -> None:
    """A program that reads stdout finds the error there, with its type and its mend."""
    done = run("policy", "check", str(tmp_path / "absent.yaml"), "--json")

    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert set(error) == {"type", "message", "mend"}
    assert error["type"].endswith("Error")
    assert "absent.yaml" in error["message"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["policy", "check"], "Missing argument"),
        (["policy", "chekc", "default"], "No such command"),
        (["policy", "check", "default", "--nosuch"], "--nosuch"),
        (["chekc"], "No such command"),
        (["--nosuch"], "--nosuch"),
        (["generate", "a cat", "-n", "none"], "Invalid value for '-n'"),
        (["audit", "account", "add", "ledger", "ann", "--role", "queen"], "queen"),
    ],
)
def test_wrong_use_is_json_when_json_was_asked_for(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A program reads the same object whatever was wrong; people get typer's box."""
    for asked in ([*arguments, "--json"], arguments):
        monkeypatch.setattr(sys, "argv", ["safegen", *asked])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        told = capsys.readouterr()
        if "--json" in asked:
            error = json.loads(told.out)["error"]
            assert set(error) == {"type", "message", "mend"}
            assert said in error["message"]
            assert error["mend"].endswith("--help")
            assert told.err == ""
        else:
            assert told.out == ""
            assert "Usage:" in told.err


def test_an_unexpected_error_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug ends with its traceback and 70, not with 1, which means that the answer is no."""

    def broken() -> None:
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setattr("safegen.cli.main.app", broken)
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 70
    assert "nobody thought of it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt, 130), (typer.Abort, 1), (typer.Exit, 0)]
)
def test_other_ends_are_typers_own(
    raised: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupting, aborting and leaving keep their exit codes, with `--json` and without."""

    def ending() -> None:
        raise raised

    monkeypatch.setattr("safegen.cli.policy.json_schema", ending)
    for more in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["safegen", "policy", "schema", *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code


def test_every_command_takes_json() -> None:
    """As the README says."""

    def lacking(command: Any, path: str) -> list[str]:
        if hasattr(command, "commands"):
            deeper = command.commands.items()
            return [each for name, sub in deeper for each in lacking(sub, f"{path} {name}")]
        return [] if any("--json" in each.opts for each in command.params) else [path]

    assert lacking(typer.main.get_command(app), "safegen") == []
