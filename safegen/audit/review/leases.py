"""Two reviewers never get one record: who opens it holds it for a while."""

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from safegen.audit.review.accounts import Account, Accounts, Session
from safegen.audit.sqlite import writing

LENGTH = 10 * 60  # seconds
_REVEALED = 10 * 60


class Lease(NamedTuple):
    """Who looks at a record, and until when (seconds since 1970)."""

    name: str
    until: float


def take(accounts: Accounts, record: str, account: Account) -> Lease:
    """Hold a record, or hold it for longer; gives the other's lease where somebody else has it."""
    now = time.time()
    with writing(accounts.database):
        accounts.database.execute(
            "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
            "SET name = excluded.name, until = excluded.until WHERE name = excluded.name "
            "OR until < ?",
            (record, account.name, now + LENGTH, now),
        )
        found = accounts.database.execute(
            "SELECT name, until FROM leases WHERE record = ?", (record,)
        ).fetchone()
    return Lease(*found)


def take_first(accounts: Accounts, records: Iterable[str], account: Account) -> str | None:
    """Hold the first of these that nobody else holds."""
    for record in records:
        if take(accounts, record, account).name == account.name:
            return record
    return None


def holders(accounts: Accounts, records: Sequence[str]) -> dict[str, str]:
    """Which of these records are held, and by whom."""
    marks = ", ".join("?" * len(records))
    found = accounts.database.execute(
        f"SELECT record, name FROM leases WHERE record IN ({marks}) AND until > ?",  # noqa: S608
        (*records, time.time()),
    )
    return dict(found.fetchall())


def give_back(accounts: Accounts, record: str, account: Account) -> None:
    """Let others have it."""
    with writing(accounts.database):
        accounts.database.execute(
            "DELETE FROM leases WHERE record = ? AND name = ?", (record, account.name)
        )


def reveal(accounts: Accounts, session: Session, record: str, image: int) -> None:
    """Let this session see an image sharp for ten minutes, since it asked for it."""
    now = time.time()
    with writing(accounts.database):
        accounts.database.execute("DELETE FROM reveals WHERE until < ?", (now,))
        accounts.database.execute(
            "INSERT OR REPLACE INTO reveals VALUES (?, ?, ?, ?)",
            (session.csrf, record, image, now + _REVEALED),
        )


def revealed(accounts: Accounts, session: Session, record: str, image: int) -> bool:
    """Whether this session asked for the image lately."""
    found = accounts.database.execute(
        "SELECT 1 FROM reveals WHERE csrf = ? AND record = ? AND image = ? AND until > ?",
        (session.csrf, record, image, time.time()),
    )
    return found.fetchone() is not None
