"""`safegen audit export`."""

import json
from pathlib import Path

import pytest
from ledgers import ledger, record
from typer.testing import CliRunner

from safegen.audit.ledger import entries
from safegen.cli.audit import app
from safegen.errors import LedgerTamperedError
from safegen.nouns import Event, Outcome


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger with two records."""
    return ledger(tmp_path / "ledger", record(0), record(1, Outcome.BLOCKED))


def run(*arguments: str | Path) -> object:
    """What the command printed as JSON, or the exception that it ended with."""
    given = ["export", *map(str, arguments), "--json"]
    result = CliRunner().invoke(app, given)
    return json.loads(result.stdout) if result.exit_code == 0 else result.exception


def test_an_export_is_itself_recorded(folder: Path, tmp_path: Path) -> None:
    """With the ledger's key at hand, who exported is the last line, and in the pack."""
    found = run(folder, "--out", tmp_path / "e.zip", "--outcome", "blocked")
    (_, last) = list(entries(folder))[-1]

    assert isinstance(found, dict)
    assert (found["records"], found["verification"]["records"]) == (1, 3)
    assert isinstance(last, Event)
    assert (last.what, last.details) == ("exported", {"to": "e.zip"})
    assert last.actor.startswith("os:")


def test_an_auditor_without_the_key_can_export(folder: Path, tmp_path: Path) -> None:
    """Without the private key the pack is made all the same, and told that it left no trace."""
    (folder / "key.pem").unlink()
    found = run(folder, "--out", tmp_path / "e")

    assert isinstance(found, dict)
    assert found["verification"]["records"] == 2


def test_another_key_than_the_one_kept_apart(folder: Path, tmp_path: Path) -> None:
    """A ledger that was replaced, key and all, is found with a copy of its key."""
    kept = ledger(tmp_path / "other") / "public.pem"

    assert isinstance(
        run(folder, "--out", tmp_path / "e", "--public-key", kept), LedgerTamperedError
    )
