"""Push and pull through huggingface_hub itself, with a server of this machine as the hub."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import TOKEN, Hub, served

from safegen.concepts.store import VectorStore
from safegen.concepts.vector import save_vector
from safegen.testing import random_vector

PROGRAM = [sys.executable, "-c", "from safegen.cli.main import main; main()", "vectors"]


@pytest.fixture
def hub() -> Iterator[tuple[Hub, str]]:
    """A hub without repositories, and its address."""
    with served() as there:
        yield there


def run(address: str, folder: Path, *arguments: str, token: str = TOKEN) -> tuple[int, Any]:
    """Exit code and JSON of a `vectors` command that has this hub."""
    names = {"HF_ENDPOINT": address, "HF_TOKEN": token, "HF_HOME": str(folder / "home")}
    done = subprocess.run(
        [*PROGRAM, *arguments, "--json"],
        env={**os.environ, **names, "HF_HUB_DISABLE_TELEMETRY": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_what_was_pushed_is_pulled(hub: tuple[Hub, str], tmp_path: Path) -> None:
    """Same values and passports, from a private repository with a README that names them."""
    there, address = hub
    code, told = run(address, tmp_path, "push", "me/vectors", "woman", "man")
    assert code == 0
    assert told["commit"].endswith(there.head)
    assert there.private == {"me/vectors": True}
    assert "license: apache-2.0" in there.files["me/vectors"]["README.md"].decode()

    code, told = run(address, tmp_path, "pull", "me/vectors", "--out", str(tmp_path / "v"))
    pulled, shipped = VectorStore(tmp_path / "v"), VectorStore("reference")
    assert code == 0
    assert pulled.names == ("man", "woman")
    assert pulled["woman"].passport == shipped["woman"].passport
    assert told["woman"] == pulled["woman"].digest == shipped["woman"].digest


def test_all_or_nothing(hub: tuple[Hub, str], tmp_path: Path) -> None:
    """One damaged file, or one that would replace another vector: no file is written."""
    there, address = hub
    run(address, tmp_path, "push", "me/vectors", "woman", "man")
    out = tmp_path / "v"
    save_vector(random_vector("woman", {"mid_block": (4,)}), out / "woman.safetensors")
    code, told = run(address, tmp_path, "pull", "me/vectors", "--out", str(out))
    assert code == 2
    assert "another vector 'woman'" in told["error"]["message"]

    files = there.files["me/vectors"]
    files["woman.safetensors"] = files["woman.safetensors"][:-2] + b"zz"
    code, told = run(address, tmp_path / "fresh", "pull", "me/vectors", "--out", str(out))
    assert code == 2
    assert "not those that were written" in told["error"]["message"]
    assert [path.name for path in out.iterdir()] == ["woman.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "token", "told"),
    [
        (["push", "me/vectors", "woman"], "hf_wrong", "401"),
        (["pull", "me/nothing"], TOKEN, "RepositoryNotFound"),
        (["pull", "no repo"], TOKEN, "HFValidationError"),
        (["pull", "me/vectors", "--revision", "older"], TOKEN, "RevisionNotFound"),
    ],
)
def test_what_the_hub_refuses_is_told(
    hub: tuple[Hub, str], tmp_path: Path, arguments: list[str], token: str, told: str
) -> None:
    """With its reason, and without the token."""
    hub[0].files["me/vectors"] = {}
    code, answer = run(hub[1], tmp_path, *arguments, token=token)

    assert code == 2
    assert told in answer["error"]["message"]
    assert token not in json.dumps(answer)


def test_a_hub_out_of_reach_is_told(tmp_path: Path) -> None:
    """Nobody listens there."""
    code, answer = run("http://127.0.0.1:9", tmp_path, "pull", "me/vectors")

    assert code == 2
    assert "the network" in answer["error"]["mend"]
