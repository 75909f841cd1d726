"""`safegen generate`: what is refused before any model is opened, and how it is told."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from safegen.audit.ledger import verify
from safegen.cli.main import app
from safegen.cli.models import bar
from safegen.errors import PolicyError


def test_with_a_policy_key_nothing_unsigned_is_used(tmp_path: Path) -> None:
    """A shipped pack is no signed bundle; no image and no ledger come of it."""
    given = ["--policy", "default", "--policy-key", str(tmp_path / "public.pem")]
    done = CliRunner().invoke(app, ["generate", "a cat", "--out", str(tmp_path / "out"), *given])

    assert isinstance(done.exception, PolicyError)
    assert "not a signed bundle" in str(done.exception)
    assert not (tmp_path / "out" / "ledger").exists()


def test_paths_are_printed_as_they_are(tmp_path: Path) -> None:
    """A folder's brackets are no markup, and a long line is not broken: paths can be copied."""
    out = tmp_path / "gen[red]x[" / f"b]{'y' * 80}"
    given = ["--out", str(out), "--no-guard", "--steps", "1"]
    done = CliRunner().invoke(app, ["generate", "a cat", *given], catch_exceptions=False)

    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[1].endswith(f"in {out / 'ledger'}")
    assert [Path(line) for line in lines[2:]] == list(out.glob("*.png"))


def test_a_disk_that_fills_up_leaves_no_half_picture(tmp_path: Path) -> None:
    """Exit code 2 and what to mend, with --json as JSON; the ledger has its record."""
    given = ["generate", "a cat", "--no-guard", "--steps", "1", "--seed", "0", "--json", "--out"]
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert CliRunner().invoke(app, [*given, str(whole)]).exit_code == 0
    most = max(path.stat().st_size for path in (whole / "ledger").iterdir())
    size = (most + next(whole.glob("*.png")).stat().st_size) // 2
    assert most < size  # the picture finds no room, and all of the ledger does
    done = subprocess.run(
        [sys.executable, "-m", "safegen", *given, str(out)],
        check=False,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )

    assert done.returncode == 2, done.stderr
    assert "cannot write" in json.loads(done.stdout)["error"]["message"]
    assert [path.name for path in out.iterdir()] == ["ledger"]
    assert verify(out / "ledger").records == 1


def test_without_a_seed_every_run_has_its_own(tmp_path: Path) -> None:
    """It is told, as JSON and in words; with it, the same image is made again."""

    def run(*more: str) -> str:
        given = ["generate", "a cook", "--out", str(tmp_path), "--steps", "1", "--no-guard"]
        done = CliRunner().invoke(app, [*given, *more], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    one, other = (json.loads(run("--json")) for _ in range(2))
    again = json.loads(run("--json", "--seed", str(one["seed"])))

    assert one["seed"] == again["seed"] != other["seed"]
    assert one["images"] == again["images"] != other["images"]
    assert f"seed {one['seed']}, record " in run("--seed", str(one["seed"]))


def test_progress_shows_brackets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of concepts in a progress bar are no markup, and cannot break it."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # else nothing is shown where nobody looks
    with bar(1, "learning [/b]") as show:
        show.advance("learned [/b]")

    assert "[/b]" in capsys.readouterr().err
