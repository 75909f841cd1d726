"""`safegen audit`: what proves a ledger."""

import json
from pathlib import Path
from shutil import copy

import pytest
from ledgers import BARE, FULL
from typer.testing import CliRunner, Result

from safegen.audit.ledger import Ledger
from safegen.cli.audit import app
from safegen.errors import LedgerError


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with a record that has everything and one that has next to nothing."""
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.append(FULL)
        ledger.append(BARE)
    return tmp_path / "ledger"


def run(*arguments: str | Path) -> Result:
    """Run `safegen audit` on a wide terminal."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(each) for each in arguments])


def tamper(folder: Path) -> None:
    """Change the outcome of the second record."""
    path = folder / "00000000.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"outcome":"error"', b'"outcome":"allow"'))


def test_verify_counts(ledger: Path) -> None:
    """A sound ledger exits 0 with its counts, as text and as JSON."""
    text, data = run("verify", ledger), run("verify", ledger, "--json")
    found = json.loads(data.stdout)

    assert (text.exit_code, data.exit_code) == (0, 0)
    assert "intact: 2 records in 1 segments" in text.stdout
    assert found.pop("head_hash") in text.stdout
    counts = {"records": 2, "segments": 1, "purged": 0}
    assert found == {"intact": True, "unfinished": False, **counts}


def test_verify_names_what_was_changed(ledger: Path) -> None:
    """A changed record exits 1 and is named, on stderr or in the JSON."""
    tamper(ledger)
    text, data = run("verify", ledger), run("verify", ledger, "--json")
    found = json.loads(data.stdout)

    assert (text.exit_code, data.exit_code) == (1, 1)
    assert "00000000.jsonl:2: record 1" in text.stderr
    assert "22222222-bbbb" in text.stderr
    assert found["intact"] is False
    assert (found["error"]["seq"], found["error"]["kind"]) == (1, "altered")
    assert found["error"]["type"] == "LedgerTamperedError"


def test_verify_tells_of_an_unfinished_record(ledger: Path) -> None:
    """Half a line at the end is mentioned and no failure."""
    with (ledger / "00000000.jsonl").open("ab") as file:
        file.write(b"{")
    result = run("verify", ledger)

    assert result.exit_code == 0
    assert "a record is being written now or was cut off" in result.stdout


def test_verify_against_what_was_kept_apart(ledger: Path, tmp_path: Path) -> None:
    """Key and checkpoint kept apart are used: the ledger's own pass, those of another do not."""
    Ledger.open(tmp_path / "other").close()
    kept = copy(ledger / "checkpoint.json", tmp_path / "kept.json")
    own = run("verify", ledger, "--public-key", ledger / "public.pem", "--checkpoint", kept)
    other = run("verify", ledger, "--public-key", tmp_path / "other" / "public.pem")

    assert own.exit_code == 0
    assert other.exit_code == 1
    assert "not signed with this ledger's key" in other.stderr


@pytest.mark.parametrize("command", [("verify",), ("show", "x"), ("query",), ("stats",)])
def test_no_ledger_is_an_error(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A folder that holds no ledger is the user's to mend, not a tampered one."""
    result = run(command[0], tmp_path, *command[1:])

    assert isinstance(result.exception, LedgerError)
