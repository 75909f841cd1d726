"""Accounts, sessions, leases: who may, for how long, and one at a time."""

import sqlite3
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from safegen.audit.review import accounts as module
from safegen.audit.review import leases
from safegen.audit.review.accounts import NAME, Account, Accounts, Role, Session
from safegen.errors import InputError, OutputError

WORDS = "four quiet paper boats"
ANN, BEN = Account("ann", Role.REVIEWER), Account("ben", Role.AUDITOR)


class Clock:
    """Stands in for `time`, so that hours pass at once."""

    now = 1e9

    def time(self) -> float:
        """Seconds since 1970."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of accounts and leases."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(leases, "time", clock)
    return clock


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    """Two accounts."""
    with Accounts.open(tmp_path) as accounts:
        accounts.add("ann", Role.REVIEWER, WORDS)
        accounts.add("ben", Role.AUDITOR, WORDS)
        yield accounts


def begun(accounts: Accounts) -> Session:
    """A session of Ann's."""
    checked = accounts.check("ann", WORDS)
    assert checked is not None
    session = accounts.sign_in(checked)
    assert session is not None
    return session


def account_of(accounts: Accounts, name: str, password: str) -> Account | None:
    """Whose password it is."""
    checked = accounts.check(name, password)
    return checked and checked.account


def test_only_the_right_password_passes(accounts: Accounts) -> None:
    """Another password, another name, a very long one and an odd one do not."""
    assert account_of(accounts, "ann", WORDS) == ANN
    for name, password in (("ann", "wrong"), ("eve", WORDS), ("ann", "x" * 9999), ("ann", "\x00")):
        assert accounts.check(name, password) is None


def test_passwords_and_tokens_are_not_kept(accounts: Accounts, tmp_path: Path) -> None:
    """The files hold hashes only, and are their owner's."""
    token = begun(accounts).token
    files = list(tmp_path.glob(f"{NAME}*"))

    assert files
    for file in files:
        assert WORDS.encode() not in file.read_bytes()
        assert token.encode() not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_new_password_ends_sessions(accounts: Accounts) -> None:
    """After a change the old password and the old sessions are worth nothing."""
    session = begun(accounts)
    accounts.set_password("ann", WORDS[::-1])

    assert accounts.session(session.token) is None
    assert accounts.check("ann", WORDS) is None
    assert account_of(accounts, "ann", WORDS[::-1]) == ANN


def test_a_removed_account_is_out_at_once(accounts: Accounts) -> None:
    """Its session ends with it."""
    session = begun(accounts)
    accounts.remove("ann")

    assert accounts.list() == [BEN]
    assert accounts.session(session.token) is None


def test_a_disabled_account_is_out_until_enabled(accounts: Accounts) -> None:
    """Its session ends, the right password is refused, and later passes again."""
    session = begun(accounts)
    accounts.set_disabled("ann", True)

    assert accounts.session(session.token) is None
    assert accounts.check("ann", WORDS) is None
    assert accounts.list()[0] == ANN._replace(disabled=True)
    accounts.set_disabled("ann", False)
    assert account_of(accounts, "ann", WORDS) == ANN


@pytest.mark.parametrize(
    "change",
    [
        partial(Accounts.set_disabled, name="ann", disabled=True),
        partial(Accounts.set_password, name="ann", password=WORDS[::-1]),
        partial(Accounts.remove, name="ann"),
    ],
    ids=["disabled", "password", "removed"],
)
def test_a_session_does_not_begin_after_a_change(
    accounts: Accounts, change: Callable[[Accounts], None]
) -> None:
    """One whose password was looked at before the change is not let in after it."""
    checked = accounts.check("ann", WORDS)
    assert checked is not None
    change(accounts)

    assert accounts.sign_in(checked) is None


def test_a_session_of_a_disabled_account_is_none(accounts: Accounts) -> None:
    """Even where it was not ended."""
    session = begun(accounts)
    accounts.database.execute("UPDATE accounts SET disabled = 1")

    assert accounts.session(session.token) is None


def test_another_role_counts_at_once(accounts: Accounts) -> None:
    """A session goes on with what the account may do now."""
    session = begun(accounts)
    accounts.set_role("ann", Role.AUDITOR)
    found = accounts.session(session.token)

    assert found is not None
    assert found.account.role == Role.AUDITOR


@pytest.mark.parametrize(("idle", "lives"), [(29 * 60, True), (31 * 60, False)])
def test_sessions_end_when_idle(accounts: Accounts, clock: Clock, idle: int, lives: bool) -> None:
    """After half an hour without a request one signs in again."""
    session = begun(accounts)
    clock.now += idle

    assert (accounts.session(session.token) == session) is lives


def test_sessions_end_after_a_day_of_work(accounts: Accounts, clock: Clock) -> None:
    """However busy, a session ends after twelve hours."""
    session = begun(accounts)
    for _ in range(12 * 4 - 1):
        clock.now += 15 * 60
        assert accounts.session(session.token) == session
    clock.now += 15 * 60 + 1

    assert accounts.session(session.token) is None


def test_signing_out_ends_one_session(accounts: Accounts) -> None:
    """The other browser stays signed in."""
    first, second = begun(accounts), begun(accounts)
    accounts.sign_out(first)

    assert accounts.session(first.token) is None
    assert accounts.session(second.token) == second


@pytest.mark.parametrize("name", ["", "Ann", "a b", "<b>", "../x", "a" * 65, "ann\n", "-x"])
def test_names_are_plain(accounts: Accounts, name: str) -> None:
    """A name that could mislead in a ledger or a page is refused."""
    with pytest.raises(InputError, match="no name"):
        accounts.add(name, Role.ADMIN, WORDS)


def test_mistakes_are_errors(accounts: Accounts) -> None:
    """A short password, a name twice, an account that there is not."""
    for mistake in (
        lambda: accounts.add("eve", Role.ADMIN, "short"),
        lambda: accounts.add("ann", Role.ADMIN, WORDS),
        lambda: accounts.remove("eve"),
        lambda: accounts.set_password("eve", WORDS),
        lambda: accounts.set_role("eve", Role.ADMIN),
        lambda: accounts.set_disabled("eve", True),
    ):
        with pytest.raises(InputError):
            mistake()


def test_an_admin_is_always_left(accounts: Accounts) -> None:
    """The last one who can sign in is neither demoted, disabled nor removed."""
    accounts.add("ada", Role.ADMIN, WORDS)
    accounts.add("eve", Role.ADMIN, WORDS)
    accounts.set_disabled("eve", True)
    before = accounts.list()
    for change in (
        lambda: accounts.set_role("ada", Role.AUDITOR),
        lambda: accounts.set_disabled("ada", True),
        lambda: accounts.remove("ada"),
    ):
        with pytest.raises(InputError, match="last admin"):
            change()
    assert accounts.list() == before
    accounts.set_disabled("eve", False)
    accounts.remove("ada")

    assert [each.name for each in accounts.list()] == ["ann", "ben", "eve"]


def test_two_reviewers_never_get_one_record(accounts: Accounts, clock: Clock) -> None:
    """Who comes second gets the next one; a lease that ran out or was given back is free."""
    records = ["a", "b"]

    assert leases.take_first(accounts, records, ANN) == "a"
    assert leases.take_first(accounts, records, BEN) == "b"
    assert leases.take(accounts, "a", BEN).name == "ann"
    assert leases.take_first(accounts, ["a"], BEN) is None
    clock.now += leases.LENGTH + 1
    assert leases.take(accounts, "a", BEN).name == "ben"
    leases.give_back(accounts, "a", ANN)
    assert leases.take(accounts, "a", ANN).name == "ben"
    leases.give_back(accounts, "a", BEN)
    assert leases.take(accounts, "a", ANN).name == "ann"


def test_an_image_is_revealed_to_one_session_for_a_while(accounts: Accounts, clock: Clock) -> None:
    """Not to another session, another image, or ten minutes later."""
    mine, other = begun(accounts), begun(accounts)
    leases.reveal(accounts, mine, "a", 0)

    assert leases.revealed(accounts, mine, "a", 0)
    assert not leases.revealed(accounts, mine, "a", 1)
    assert not leases.revealed(accounts, mine, "b", 0)
    assert not leases.revealed(accounts, other, "a", 0)
    clock.now += 601
    assert not leases.revealed(accounts, mine, "a", 0)


def test_accounts_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    """Nobody knows what this version would leave out of them."""
    Accounts.open(tmp_path).close()
    newer = sqlite3.connect(tmp_path / NAME)
    newer.execute("PRAGMA user_version = 99")
    newer.close()

    with pytest.raises(OutputError, match="of a newer SafeGen: it has the version 99"):
        Accounts.open(tmp_path)
