"""The command line where no extra is installed."""

import json
import subprocess
import sys
from pathlib import Path

from safegen.cli.doctor import lacking
from safegen.reference import CONCEPTS

_WITHOUT_EXTRAS = """
import sys
from importlib.machinery import PathFinder

gone = {"accelerate", "diffusers", "huggingface_hub", "nudenet", "onnxruntime", "open_clip",
        "safetensors", "sklearn", "tokenizers", "torch", "transformers"}
find = PathFinder.find_spec

def seen(name, path=None, target=None):
    return None if name.partition(".")[0] in gone else find(name, path, target)

PathFinder.find_spec = staticmethod(seen)
"""
# Several commands in one process: importing the command line is what takes time.
_COMMANDS = """
import json, contextlib, io
from safegen.cli.main import main

answers = {}
for command in sys.argv[1:]:
    sys.argv = ["safegen", *command.split(), "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except BaseException as error:
            answers[command] = [repr(error), out.getvalue()]
print(json.dumps(answers))
"""
_GUARD = """
from safegen.errors import MissingExtraError
from safegen.guard import Guard
try:
    Guard.from_policy("default", ledger="ledger")
except MissingExtraError as error:
    print(error.extra)
"""


def run(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program, or the command, as after `pip install safegen`."""
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT_EXTRAS + program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
    )


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """The answer is one object with the command that brings the extra, and never exit code 1."""
    commands = [
        "demo",
        "generate cat",
        "eval safe",
        "reference check",
        "reference train",
        "redteam --model reference",
        "vectors show woman",
        "vectors verify",
        "vectors compare woman man",
        "vectors compose other woman=1",
        f"vectors discover {CONCEPTS}",
    ]
    done = run(_COMMANDS, *commands, folder=tmp_path)

    answers = json.loads(done.stdout)
    assert {command: ended for command, (ended, _) in answers.items()} == dict.fromkeys(
        commands, "SystemExit(2)"
    )
    for command, (_, said) in answers.items():
        error = json.loads(said)["error"]
        assert error["type"] == "MissingExtraError", command
        assert error["mend"] == "pip install 'safegen[diffusers]'", command


def test_a_guard_says_which_extra_it_needs(tmp_path: Path) -> None:
    """`Guard.from_policy` keeps what its docstring promises."""
    done = run(_GUARD, folder=tmp_path)

    assert done.stdout.strip() == "diffusers", done.stderr


def test_a_policy_is_checked_beside_vectors_that_cannot_be_read(tmp_path: Path) -> None:
    """Their names are known without the extra; that their cards are not read is said."""
    command = "policy check default --vectors reference"
    done = run(_COMMANDS, command, folder=tmp_path)

    [[ended, said]] = json.loads(done.stdout).values()
    assert ended == "SystemExit(0)"
    assert set(json.loads(said)["cards"].values()) == {"not read"}
    assert "safegen[diffusers]" in done.stderr


def test_only_what_an_extra_brings_is_told_as_one() -> None:
    """A module of nobody's, and one whose package is there, stay the errors that they are."""
    assert lacking(ModuleNotFoundError(name="no_such_module")) is None
    assert lacking(ModuleNotFoundError(name="torch.no_such_part")) is None
    assert lacking(ModuleNotFoundError(name="json")) is None
