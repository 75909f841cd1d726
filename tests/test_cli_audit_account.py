"""`safegen audit account` and `purge-images`: what is done is told in the ledger."""

import getpass
import json
import os
import sys
from pathlib import Path

import pytest
from ledgers import ledger
from PIL import Image
from typer.testing import CliRunner, Result

from safegen.audit.held import ImageStore
from safegen.audit.ledger import entries
from safegen.audit.review.accounts import Accounts
from safegen.audit.review.acts import Acts
from safegen.cli.audit import app
from safegen.cli.audit_options import operator
from safegen.errors import InputError, LedgerError
from safegen.nouns import Event

WORDS = "four quiet paper boats\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty ledger."""
    return ledger(tmp_path / "ledger")


def run(*arguments: str | Path, typed: str = "") -> Result:
    """Run `safegen audit`."""
    return CliRunner().invoke(app, [str(each) for each in arguments], input=typed)


def events(folder: Path) -> list[tuple[str, dict[str, object]]]:
    """What the ledger tells, with details."""
    found = [entry for _, entry in entries(folder) if isinstance(entry, Event)]
    assert all(entry.actor.startswith("os:") for entry in found)
    return [(entry.what, dict(entry.details)) for entry in found]


def test_accounts_come_and_go(folder: Path) -> None:
    """Each change is an event that names the account and never the password."""
    run("account", "add", folder, "ada", "--role", "admin", typed=WORDS)
    added = run("account", "add", folder, "ann", "--role", "admin", typed=WORDS)
    listed = run("account", "list", folder, "--json")
    changed = run("account", "passwd", folder, "ann", typed=WORDS[::-1].strip() + "\n")
    run("account", "role", folder, "ann", "auditor")
    run("account", "disable", folder, "ann")
    shown = run("account", "list", folder)
    run("account", "enable", folder, "ann")
    removed = run("account", "remove", folder, "ann", "--json")

    assert [r.exit_code for r in (added, listed, changed, removed)] == [0] * 4
    assert shown.stdout == "ada  admin\nann  auditor  disabled\n"
    assert json.loads(listed.stdout) == [
        {"name": name, "role": "admin", "disabled": False} for name in ("ada", "ann")
    ]
    assert json.loads(removed.stdout) == {"event": "account_removed", "account": "ann"}
    assert events(folder) == [
        ("account_added", {"account": "ada", "role": "admin"}),
        ("account_added", {"account": "ann", "role": "admin"}),
        ("password_changed", {"account": "ann"}),
        ("role_changed", {"account": "ann", "role": "auditor"}),
        ("account_disabled", {"account": "ann"}),
        ("account_enabled", {"account": "ann"}),
        ("account_removed", {"account": "ann"}),
    ]


@pytest.mark.parametrize("what", [("role", "auditor"), ("disable",), ("remove",)])
def test_the_last_admin_stays(folder: Path, what: tuple[str, ...]) -> None:
    """The command line refuses too, and records nothing."""
    run("account", "add", folder, "ada", "--role", "admin", typed=WORDS)
    command, *more = what
    result = run("account", command, folder, "ada", *more)

    assert isinstance(result.exception, InputError)
    assert "last admin" in result.exception.message
    assert [name for name, _ in events(folder)] == ["account_added"]


def test_a_name_that_acted_is_restored_or_refused(folder: Path) -> None:
    """It is for the same person, which the ledger tells, or for nobody."""
    run("account", "add", folder, "ann", typed=WORDS)
    with Acts(folder) as acts:
        acts.append("signed_in", actor="ann")
    run("account", "remove", folder, "ann")
    refused = run("account", "add", folder, "ann", typed=WORDS)
    restored = run("account", "add", folder, "ann", "--restore", typed=WORDS)
    added = [entry for _, entry in entries(folder) if isinstance(entry, Event)][-1]

    assert isinstance(refused.exception, InputError)
    assert "--restore" in str(refused.exception)
    assert restored.exit_code == 0
    assert added.details == {"account": "ann", "role": "reviewer", "restored": True}


def test_who_runs_a_command_is_the_user_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the environment makes another one of them."""
    pwd = pytest.importorskip("pwd", reason="tells the users of Unix")
    me = pwd.getpwuid(os.getuid()).pw_name
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "the.boss")
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert operator() == f"os:{me}"
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 3)
    monkeypatch.setenv("SUDO_USER", me)
    assert operator() == f"os:{2**31 - 3}"
    monkeypatch.setattr(os, "getuid", lambda: 0)
    root = pwd.getpwuid(0).pw_name
    assert operator() == f"os:{root} (sudo by {me})"
    for nobody in ("the.boss", "\x00", "ann) (sudo by eve"):
        monkeypatch.setattr(os, "environ", {"SUDO_USER": nobody})
        assert operator() == f"os:{root}"
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")
    monkeypatch.setitem(sys.modules, "pwd", None)

    assert operator() == "os:ann"


def test_a_short_password_makes_no_account(folder: Path) -> None:
    """Nothing is kept and nothing recorded."""
    result = run("account", "add", folder, "ann", typed="short\n")

    assert isinstance(result.exception, InputError)
    with Accounts.open(folder) as accounts:
        assert accounts.list() == []
    assert events(folder) == []


def test_a_change_that_cannot_be_told_is_not_made(folder: Path, tmp_path: Path) -> None:
    """With a key that is not the ledger's, no account is made."""
    result = run("account", "add", folder, "ann", "--key", folder / "public.pem", typed=WORDS)

    assert isinstance(result.exception, LedgerError)
    with Accounts.open(folder) as accounts:
        assert accounts.list() == []


def test_held_images_are_purged_and_told_of(folder: Path, tmp_path: Path) -> None:
    """How many went is in the ledger."""
    ImageStore(tmp_path / "held").put(Image.new("RGB", (8, 8)))
    kept = run("purge-images", folder, tmp_path / "held", "--days", "1", "--json")
    gone = run("purge-images", folder, tmp_path / "held", "--days", "0")

    assert json.loads(kept.stdout) == {"count": 0, "days": 1.0}
    assert "deleted 1 held images" in gone.stdout
    assert [details["count"] for _, details in events(folder)] == [0, 1]


def test_images_in_no_folder_are_not_purged(folder: Path, tmp_path: Path) -> None:
    """A mistyped folder is an error, of which the ledger tells nothing."""
    result = run("purge-images", folder, tmp_path / "typo")

    assert isinstance(result.exception, InputError)
    assert "no folder of held images" in str(result.exception)
    assert not (tmp_path / "typo").exists()
    assert events(folder) == []


def test_what_killed_writes_left_is_purged(folder: Path, tmp_path: Path) -> None:
    """Half a picture goes when it is as old as held images may be."""
    left = ImageStore(tmp_path / "held").folder / f"{'0' * 64}.{'1' * 32}.part"
    left.write_bytes(b"half a picture")
    run("purge-images", folder, left.parent, "--days", "1")
    assert left.exists()
    os.utime(left, (0, 0))
    run("purge-images", folder, left.parent, "--days", "1")

    assert not left.exists()


@pytest.mark.parametrize("what", ["add", "passwd", "remove"])
def test_what_the_ledger_does_not_take_is_not_done(folder: Path, what: str) -> None:
    """Without its event no account comes, changes or goes."""
    run("account", "add", folder, "ann", typed=WORDS)
    (folder / "key.pem").rename(folder / "away.pem")
    with Accounts.open(folder) as accounts:
        before = list(accounts.database.iterdump())
    result = run("account", what, folder, "bob" if what == "add" else "ann", typed=WORDS)
    with Accounts.open(folder) as accounts:
        assert list(accounts.database.iterdump()) == before

    assert isinstance(result.exception, LedgerError)
    assert [name for name, _ in events(folder)] == ["account_added"]


def test_held_images_stay_if_the_ledger_takes_no_event(folder: Path, tmp_path: Path) -> None:
    """It must say first that they go."""
    store = ImageStore(tmp_path / "held")
    kept = store.put(Image.new("RGB", (8, 8)))
    (folder / "key.pem").rename(folder / "away.pem")
    result = run("purge-images", folder, store.folder, "--days", "0")

    assert isinstance(result.exception, LedgerError)
    assert store.get(kept) is not None


def test_what_is_no_ledger_has_no_accounts(tmp_path: Path) -> None:
    """Listing refuses such a folder, and leaves nothing there."""
    done = run("account", "list", tmp_path)

    assert isinstance(done.exception, LedgerError)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_name_is_told_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked for a password in vain, and nobody else is taken for ""."""
    run("account", "add", folder, "ann", typed=WORDS)
    monkeypatch.setattr("safegen.cli.audit_account._password", lambda: pytest.fail("asked for"))
    done = run("account", "add", folder, "")

    assert isinstance(done.exception, InputError)
    assert done.exception.message == "'' is no name for an account"
