"""Who may review: local accounts with hashed passwords, and sessions that end.

Both are in `review.sqlite` beside the ledger, mode 0600. Passwords are kept as Argon2id hashes,
sessions as the hash of their token: who reads the file can sign in as nobody.
"""

import hashlib
import re
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

from safegen.audit.index import Index
from safegen.audit.sqlite import OnDatabase, connect, make_tables, writing
from safegen.errors import InputError, MissingExtraError, OutputError

NAME = "review.sqlite"
SHORTEST, LONGEST = 12, 1024
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_IDLE, _LONGEST_SESSION = 30 * 60, 12 * 3600  # seconds
_VERSION = 1  # of the tables; counts up when they change
_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, role TEXT, hash TEXT, made INTEGER,
    disabled INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, name TEXT, csrf TEXT, made REAL,
    seen REAL);
CREATE TABLE IF NOT EXISTS leases (record TEXT PRIMARY KEY, name TEXT, until REAL);
CREATE TABLE IF NOT EXISTS reveals (csrf TEXT, record TEXT, image INTEGER, until REAL,
    PRIMARY KEY (csrf, record, image));
"""


class Role(StrEnum):
    """What an account may do. An admin may do what both others may."""

    REVIEWER = "reviewer"
    AUDITOR = "auditor"
    ADMIN = "admin"

    @property
    def judges(self) -> bool:
        """Sees held images, and upholds, overturns, escalates."""
        return self in (Role.REVIEWER, Role.ADMIN)

    @property
    def audits(self) -> bool:
        """Sees what others did, and takes records away."""
        return self in (Role.AUDITOR, Role.ADMIN)

    @property
    def manages(self) -> bool:
        """Makes accounts, disables them, and says what they may do."""
        return self == Role.ADMIN


class Account(NamedTuple):
    """Who it is and what they may do; a disabled one cannot sign in."""

    name: str
    role: Role
    disabled: bool = False


class Checked(NamedTuple):
    """An account whose password was right, and the hash that it was right for."""

    account: Account
    hash: str


class Session(NamedTuple):
    """A signed-in account; `csrf` must come with everything that it changes."""

    token: str
    account: Account
    csrf: str


class Accounts(OnDatabase):
    """The accounts and sessions of a ledger."""

    @classmethod
    def open(cls, ledger: str | Path) -> Self:
        """Open those of a ledger, made if missing.

        Raises:
            OutputError: they cannot be written, or are those of a newer SafeGen.
        """
        database = connect(Path(ledger) / NAME)
        try:
            with writing(database):
                _demand_tables(database, Path(ledger) / NAME)
        except BaseException:
            database.close()
            raise
        return cls(database)

    # --- accounts ---------------------------------------------------------------------------

    def add(self, name: str, role: Role, password: str) -> None:
        """Make an account.

        Raises:
            InputError: the name is taken or no name, or the password is too short or too long.
            MissingExtraError: argon2-cffi is not installed.
        """
        demand_name(name)
        digest = _hashed(password)
        with writing(self.database):
            if self._found(name):
                raise InputError(f"there is an account {name!r} already", "use passwd, or remove")
            self.database.execute(
                "INSERT INTO accounts (name, role, hash, made) VALUES (?, ?, ?, ?)",
                (name, role, digest, int(time.time())),
            )

    def remove(self, name: str) -> None:
        """Remove an account, and sign it out everywhere.

        Raises:
            InputError: there is none, or it is the last enabled admin.
        """
        with self._leaving_an_admin():
            self._require(name)
            self.database.execute("DELETE FROM accounts WHERE name = ?", (name,))
            self._sign_out_everywhere(name)

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password, and sign it out everywhere.

        Raises:
            InputError: there is no such account, or the password is too short or too long.
            MissingExtraError: argon2-cffi is not installed.
        """
        digest = _hashed(password)
        with writing(self.database):
            self._require(name)
            self.database.execute("UPDATE accounts SET hash = ? WHERE name = ?", (digest, name))
            self._sign_out_everywhere(name)

    def set_role(self, name: str, role: Role) -> None:
        """Let an account do something else, from its next request on.

        Raises:
            InputError: there is none, or it is the last enabled admin.
        """
        with self._leaving_an_admin():
            self._require(name)
            self.database.execute("UPDATE accounts SET role = ? WHERE name = ?", (role, name))

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Let nobody sign in to an account, and sign it out everywhere; or let them again.

        Raises:
            InputError: there is none, or it is the last enabled admin.
        """
        with self._leaving_an_admin():
            self._require(name)
            self.database.execute(
                "UPDATE accounts SET disabled = ? WHERE name = ?", (disabled, name)
            )
            self._sign_out_everywhere(name)

    def list(self) -> list[Account]:
        """All of them, by name."""
        found = self.database.execute("SELECT name, role, disabled FROM accounts ORDER BY name")
        return [Account(name, Role(role), bool(disabled)) for name, role, disabled in found]

    def check(self, name: str, password: str) -> Checked | None:
        """The account to sign in, if it may sign in and the password is its own.

        A name that there is not takes as long.
        """
        from argon2 import PasswordHasher
        from argon2.exceptions import VerificationError

        found = self._found(name)
        hasher = PasswordHasher()
        try:
            hasher.verify(found[1] if found else _of_nobody(), password[: LONGEST + 1])
        except VerificationError:
            return None
        if found is None or found[2]:
            return None
        return Checked(Account(name, Role(found[0])), found[1])

    # --- sessions ---------------------------------------------------------------------------

    def sign_in(self, checked: Checked) -> Session | None:
        """Begin a session; None if the account was disabled or given another password meanwhile.

        Sessions that ended are forgotten.
        """
        account = checked.account
        session = Session(secrets.token_urlsafe(32), account, secrets.token_urlsafe(32))
        now = time.time()
        with writing(self.database):
            found = self._found(account.name)
            if found is None or found[1:] != (checked.hash, False):
                return None
            self.database.execute(
                "DELETE FROM sessions WHERE made < ? OR seen < ?",
                (now - _LONGEST_SESSION, now - _IDLE),
            )
            self.database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (_digest(session.token), account.name, session.csrf, now, now),
            )
        return session

    def session(self, token: str) -> Session | None:
        """The session of a token; None if it ended: 30 idle minutes, 12 hours, or signed out.

        A disabled account has none.
        """
        now = time.time()
        found = self.database.execute(
            "SELECT name, role, csrf, seen FROM sessions JOIN accounts USING (name) "
            "WHERE token = ? AND sessions.made > ? AND seen > ? AND NOT disabled",
            (_digest(token), now - _LONGEST_SESSION, now - _IDLE),
        ).fetchone()
        if found is None:
            return None
        name, role, csrf, seen = found
        if now - seen > 60:  # to the minute will do, and most requests then write nothing
            with writing(self.database):
                self.database.execute(
                    "UPDATE sessions SET seen = ? WHERE token = ?", (now, _digest(token))
                )
        return Session(token, Account(name, Role(role)), csrf)

    def sign_out(self, session: Session) -> None:
        """End a session."""
        with writing(self.database):
            self.database.execute("DELETE FROM sessions WHERE token = ?", (_digest(session.token),))

    def _sign_out_everywhere(self, name: str) -> None:
        self.database.execute("DELETE FROM sessions WHERE name = ?", (name,))
        self.database.execute("DELETE FROM leases WHERE name = ?", (name,))

    def known(self, name: str) -> bool:
        """Whether there is such an account."""
        return self._found(name) is not None

    def _found(self, name: str) -> tuple[str, str, int] | None:
        found = self.database.execute(
            "SELECT role, hash, disabled FROM accounts WHERE name = ?", (name,)
        )
        row: tuple[str, str, int] | None = found.fetchone()
        return row

    @contextmanager
    def _leaving_an_admin(self) -> Iterator[None]:
        """A change that is refused if it takes the last admin who can sign in."""
        with writing(self.database):
            before = self._admins()
            yield
            if before and not self._admins():
                raise InputError(
                    f"{before[0]} is the last admin who can sign in",
                    "make another account an admin first",
                )

    def _admins(self) -> Sequence[str]:
        return [each.name for each in self.list() if each.role.manages and not each.disabled]

    def _require(self, name: str) -> None:
        if not self._found(name):
            known = ", ".join(each.name for each in self.list())
            raise InputError(f"there is no account {name!r}", f"known are: {known or 'none'}")


def _demand_tables(database: sqlite3.Connection, path: Path) -> None:
    """Make the tables, unless they are there; those of a newer SafeGen are refused."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        raise OutputError(
            f"{path} is of a newer SafeGen: it has the version {version}, known is {_VERSION}",
            "use that SafeGen, or one that is newer still",
        )
    if version == _VERSION:
        return
    make_tables(database, _SCHEMA)
    database.execute(f"PRAGMA user_version = {_VERSION}")


def demand_name(name: str) -> None:
    """Refuse what no account may be called.

    Raises:
        InputError: it is no name.
    """
    if not _LOGIN.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for an account",
            "use up to 64 of a-z, 0-9, dot, dash and underscore, a letter or digit first",
        )


def refuse_known(index: Index, accounts: Accounts, name: str) -> None:
    """Refuse the name of an account that is gone and acted: two people would become one.

    Raises:
        InputError: it is no name; or there is no such account, and the ledger tells what it did.
    """
    demand_name(name)  # "" is everybody to `events`
    if not accounts.known(name) and index.events(actor=name, limit=1):
        raise InputError(
            f"the ledger tells what another account called {name!r} did, which was removed",
            "choose another name; for the same person: safegen audit account add --restore",
        )


def _hashed(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(
            f"expected a password of {SHORTEST} to {LONGEST} characters, got {len(password)}",
            "take a few words that do not belong together",
        )
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise MissingExtraError("argon2-cffi", "review", "hashing passwords") from error
    return PasswordHasher().hash(password)


@cache
def _of_nobody() -> str:
    """A hash that no password has, with the parameters of all others."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(secrets.token_hex())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
