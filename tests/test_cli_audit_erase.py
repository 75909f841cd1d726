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
from safegen.policy.schema import Recording


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
    """The subject as records name it does as well; one that no record names is an error."""
    told = json.loads(run("erase", folder, "--subject", mine.subject, "--json").stdout)
    nobody = run("erase", folder, "--subject", "hmac-sha256:00")

    assert (told["subject"], told["now"], told["records"]) == (mine.subject, True, 1)
    assert isinstance(nobody.exception, InputError)
    assert "no record is of the subject 'hmac-sha256:00'" in str(nobody.exception)


@pytest.mark.parametrize("options", [[], ["--user", "a", "--subject", "b"]])
def test_whom_to_erase_is_said_once(folder: Path, mine: Record, options: list[str]) -> None:
    """Neither nobody nor two are erased."""
    result = run("erase", folder, *options)

    assert isinstance(result.exception, InputError)
    assert whats(folder) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--user", "Alice"], "no record is of the user 'Alice'"),
        (["--user", ALICE, "--tenant", "elsewhere"], "of the tenant 'elsewhere'"),
        (["--subject", "record:ffff"], "with an id starting with 'ffff'"),
        (["--subject", "hmac-sha256:00", "--tenant", "acme"], "--tenant was given with --subject"),
        (["--user", "", "--subject", "hmac-sha256:00"], "--user is empty"),
    ],
)
def test_nobody_is_not_erased(folder: Path, mine: Record, options: list[str], says: str) -> None:
    """A slip of the pen is an error, and not taken for somebody who is forgotten."""
    result = run("erase", folder, *options)

    assert isinstance(result.exception, InputError | LedgerError)
    assert says in str(result.exception)
    assert whats(folder) == []


@pytest.mark.parametrize("by", ["user", "tenant", "subject", "record"])
def test_who_has_a_key_and_no_record_is_erased(folder: Path, by: str) -> None:
    """The records were purged and the key was not yet: what was shipped can be read by it."""
    with Ledger.open(folder) as ledger:
        mine, nobodys = asked(ledger, record(0)), asked(ledger, record(1), user="")
        ledger.begin_segment()
        asked(ledger, record(2), user="bob-1234")
    aged(folder)
    assert run("purge", folder, "--older-than", "2026-01-01T02:00").stdout.startswith("deleted 2")
    given = {
        "user": ("--user", ALICE),
        "tenant": ("--user", ALICE, "--tenant", "acme"),
        "subject": ("--subject", mine.subject),
        "record": ("--subject", f"record:{nobodys.id}"),
    }
    gone = nobodys if by == "record" else mine
    done = run("erase", folder, *given[by])

    assert done.exit_code == 0, done.output
    assert "what copies of purged ones keep encrypted is lost" in done.stdout
    assert whats(folder)[-1] == "erased"
    with Ledger.open(folder) as ledger:
        assert ledger.subjects.find(key_of(gone)) is None
        assert ledger.subjects.find(key_of(mine if by == "record" else nobodys))


def test_a_tenants_user_is_erased_alone(folder: Path) -> None:
    """Of two tenants with a user of one id, the one that is named; without it neither."""
    with Ledger.open(folder) as ledger:
        ours, theirs = (asked(ledger, record(n, tenant=t)) for n, t in enumerate(["A", "B"]))
    both = run("query", folder, "--user", ALICE, "--json").stdout.splitlines()
    one = run("query", folder, "--user", ALICE, "--tenant", "B", "--json").stdout.splitlines()
    refused = run("erase", folder, "--user", ALICE)
    done = run("erase", folder, "--user", ALICE, "--tenant", "A")

    tenants = [json.loads(line)["record"]["context"]["tenant"] for line in both]
    assert tenants == ["B", "A"]
    assert [json.loads(line)["record"]["id"] for line in one] == [theirs.id]
    assert isinstance(refused.exception, InputError)
    for part in ("'A'", "'B'", ours.subject, theirs.subject, "--tenant"):
        assert part in str(refused.exception)
    assert (done.exit_code, done.stdout[:7]) == (0, "erased ")
    assert run("show", folder, ours.id, "--reveal").exit_code != 0
    assert SECRET in run("show", folder, theirs.id, "--reveal").stdout


def test_what_was_kept_in_plain_text_stays_and_is_told(folder: Path) -> None:
    """The exit code is 1, also where the rest was erased; where to look is said."""
    plain = Recording(prompt="plain", user="plain")
    with Ledger.open(folder) as ledger:
        asked(ledger, record(0))
        kept = asked(ledger, record(1), plain)
        asked(ledger, record(2), plain, user="bob-1234")
        asked(ledger, record(3), Recording(), user="carol-99")
    partly = run("erase", folder, "--user", ALICE)
    again = run("erase", folder, "--user", ALICE, "--json")
    nothing = run("erase", folder, "--user", "bob-1234")
    hmacs = run("erase", folder, "--user", "carol-99")

    assert partly.exit_code == again.exit_code == nothing.exit_code == hmacs.exit_code == 1
    assert "what 1 records keep encrypted is lost for ever" in partly.stdout
    assert "1 of its 2 records keep prompt or user in plain text" in partly.stdout
    assert f"safegen audit query {folder} --subject {kept.subject}" in partly.stdout
    told = json.loads(again.stdout)
    assert (told["records"], told["encrypted"], told["readable"]) == (2, 1, 1)
    assert "has no key" in nothing.stdout
    assert "plain text" in nothing.stdout
    assert "plain text" not in hmacs.stdout


def test_a_record_is_erased_by_the_beginning_of_its_id(folder: Path) -> None:
    """As `query` prints it and `show` takes it; a user's record says whose it is."""
    with Ledger.open(folder) as ledger:
        nobodys, mine = asked(ledger, record(0x1A), user=""), asked(ledger, record(0x2A))
    done = run("erase", folder, "--subject", f"record:{nobodys.id[:8]}")
    refused = run("erase", folder, "--subject", f"record:{mine.id[:8]}")

    assert done.exit_code == 0
    assert done.stdout.startswith(f"erased record:{nobodys.id}")
    assert f"--subject {mine.subject}" in str(refused.exception)


def test_an_erased_record_says_so_where_it_is_to_be_read(folder: Path, mine: Record) -> None:
    """Nobody is sent to look for a file of keys that was erased on purpose."""
    run("erase", folder, "--user", ALICE)
    refused = str(run("show", folder, mine.id, "--reveal").exception)

    assert f"the key {key_of(mine)} that encrypts the record {mine.id} was erased on 20" in refused
    assert "--subjects" not in refused


def test_another_ledgers_key_knows_nobody(folder: Path, mine: Record, tmp_path: Path) -> None:
    """It would say that nothing is kept of anybody."""
    Ledger.open(tmp_path / "other").close()
    for command in ("query", "export", "erase"):
        result = run(command, folder, "--user", ALICE, "--key", tmp_path / "other" / "key.pem")

        assert isinstance(result.exception, LedgerError)
        assert "does not belong to" in str(result.exception)


@pytest.mark.parametrize("command", ["query", "export"])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--user", ""], "--user is empty"),
        (["--subject", ""], "--subject is empty"),
        (["--tenant", ""], "--tenant is empty"),
        (["--user", ALICE, "--subject", "hmac-sha256:00"], "either --user or --subject"),
    ],
)
def test_an_empty_name_is_not_everybody(
    folder: Path, mine: Record, command: str, options: list[str], says: str
) -> None:
    """A variable that is not set hands out nobody's records."""
    result = run(command, folder, *options)

    assert isinstance(result.exception, InputError)
    assert says in str(result.exception)
    assert result.stdout == ""


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
