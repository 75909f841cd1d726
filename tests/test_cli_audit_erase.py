"""`safegen audit erase`, `show --reveal` and `query --user`: what is done with people's data."""

import json
from pathlib import Path

import pytest
from ledgers import ALICE, SECRET, asked, holding, record
from purging import aged
from typer.testing import CliRunner, Result

from safegen.audit.ledger import Ledger, entries, verify
from safegen.audit.ledger.masking import key_of
from safegen.cli.audit import app
from safegen.errors import InputError, LedgerError
from safegen.nouns import Event, Record


def run(*arguments: str | Path) -> Result:
    """Run `safegen audit` on a wide terminal."""
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(each) for each in arguments])


@pytest.fixture
def mine(tmp_path: Path) -> Record:
    """The first record of a ledger: an encrypted one, before one of another user."""
    with Ledger.open(tmp_path / "ledger") as ledger:
        kept = asked(ledger, record(0))
        asked(ledger, record(1), user="bob-1234")
    return kept


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of that ledger."""
    return tmp_path / "ledger"


def whats(folder: Path) -> list[str]:
    """What the events of the ledger say was done, in order."""
    return [entry.what for _, entry in entries(folder) if isinstance(entry, Event)]


def test_reveal_shows_what_was_given(folder: Path, mine: Record) -> None:
    """Prompt and user are shown, and the ledger says who read them; without it nothing is shown."""
    assert SECRET not in run("show", folder, mine.id).stdout
    assert whats(folder) == []
    shown = run("show", folder, mine.id, "--reveal").stdout
    told = json.loads(run("show", folder, mine.id, "--reveal", "--json").stdout)

    assert f"prompt: {SECRET}" in shown
    assert f"context.user: {ALICE}" in shown
    assert "revealed" in shown
    assert told["revealed"] == {"prompt": SECRET, "context.user": ALICE}
    assert whats(folder) == ["revealed", "revealed"]


def test_erase_by_user(folder: Path, mine: Record) -> None:
    """The id of a user is enough, and reaches no file; the record says so ever after."""
    done = run("erase", folder, "--user", ALICE, "--reason", "asked for it")
    again = run("erase", folder, "--user", ALICE)
    refused = run("show", folder, mine.id, "--reveal")

    told = json.loads(run("show", folder, mine.id, "--json").stdout)
    assert sorted(told["erased"]) == ["context.user", "prompt"]
    assert done.stdout.startswith(f"erased {mine.subject}: what 1 records keep encrypted is lost")
    assert "was erased on" in again.stdout
    assert "the prompt is erased on" in run("show", folder, mine.id).stdout
    assert isinstance(refused.exception, LedgerError)
    assert whats(folder) == ["erased"]
    assert holding(folder, ALICE, SECRET) == []
    assert verify(folder).records == 3


def test_erase_by_subject(folder: Path, mine: Record) -> None:
    """The subject as records name it does as well; one that has no key is told so."""
    told = json.loads(run("erase", folder, "--subject", mine.subject, "--json").stdout)
    nobody = run("erase", folder, "--subject", "hmac-sha256:00")

    assert (told["subject"], told["now"], told["records"]) == (mine.subject, True, 1)
    assert "has no key" in nobody.stdout


@pytest.mark.parametrize("options", [[], ["--user", "a", "--subject", "b"]])
def test_whom_to_erase_is_said_once(folder: Path, mine: Record, options: list[str]) -> None:
    """Neither nobody nor two are erased."""
    result = run("erase", folder, *options)

    assert isinstance(result.exception, InputError)
    assert whats(folder) == []


def test_keys_may_stand_elsewhere(tmp_path: Path) -> None:
    """Private key and keys of subjects are taken from where they are said to be."""
    folder, key, subjects = tmp_path / "ledger", tmp_path / "key.pem", tmp_path / "keys.sqlite"
    with Ledger.open(folder, key=key, subjects=subjects) as ledger:
        kept = asked(ledger, record(0))
    places = ("--key", key, "--subjects", subjects)
    shown = run("show", folder, kept.id, "--reveal", *places)
    found = run("query", folder, "--user", ALICE, "--key", key, "--json")
    done = run("erase", folder, "--user", ALICE, *places)

    assert SECRET in shown.stdout
    assert json.loads(found.stdout)["record"]["id"] == kept.id
    assert done.stdout.startswith("erased")
    assert not (folder / "subjects.sqlite").exists()
    assert isinstance(run("query", folder, "--user", ALICE).exception, LedgerError)


def test_keys_that_stand_elsewhere_are_missed(tmp_path: Path) -> None:
    """Forgetting --subjects is an error of every command that needs them, until they are lost."""
    folder, subjects = tmp_path / "ledger", tmp_path / "keys.sqlite"
    with Ledger.open(folder, subjects=subjects) as ledger:
        kept = asked(ledger, record(0))
        ledger.begin_segment()
    aged(folder)
    for command in (
        ("erase", folder, "--user", ALICE),
        ("purge", folder, "--older-than", "1d", "--dry-run"),
        ("purge", folder, "--older-than", "1d"),
        ("show", folder, kept.id, "--reveal"),
    ):
        result = run(*command)
        assert isinstance(result.exception, LedgerError), command
        assert key_of(kept) in str(result.exception)
        assert "--subjects" in str(result.exception)
    lost = run("erase", folder, "--user", ALICE, "--keys-lost")
    gone = run("purge", folder, "--older-than", "2026-02-01")

    assert lost.stdout.startswith("erased")
    assert gone.stdout.startswith("deleted 1 records in 1 segments")
    assert not (folder / "subjects.sqlite").exists()


def test_query_by_user(folder: Path, mine: Record) -> None:
    """A user's records are found by id or subject; who never asked is an error."""
    for options in (["--user", ALICE], ["--subject", mine.subject]):
        (line,) = run("query", folder, "--json", *options).stdout.splitlines()
        assert json.loads(line)["record"]["id"] == mine.id

    assert isinstance(run("query", folder, "--user", "carol").exception, InputError)
    assert holding(folder, ALICE) == []


def test_evidence_names_nobody(folder: Path, mine: Record, tmp_path: Path) -> None:
    """A pack of a user's records holds neither the user's id nor the prompt."""
    out = tmp_path / "pack"
    result = run("export", folder, "--user", ALICE, "--out", out)

    assert result.exit_code == 0, result.output
    assert mine.id in (out / "records.jsonl").read_text()
    assert holding(out, ALICE, SECRET) == []
    assert not list(out.rglob("subjects*"))
