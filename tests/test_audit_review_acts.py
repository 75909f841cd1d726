"""`Acts`: what people do becomes lines of the ledger, beside those of the guard."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ledgers import ledger, record

from safegen.audit.ledger import Ledger, entries, verify
from safegen.audit.review.accounts import Accounts, Role
from safegen.audit.review.acts import Acts
from safegen.errors import InputError, LedgerError
from safegen.nouns import Event

WORDS = "four quiet paper boats"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty ledger."""
    return ledger(tmp_path / "ledger")


def told(folder: Path) -> list[str]:
    """What was done, by the ledger."""
    return [entry.what for _, entry in entries(folder) if isinstance(entry, Event)]


def test_many_act_while_a_guard_writes(folder: Path) -> None:
    """All of it is in one chain that verifies."""
    with Acts(folder) as acts, Ledger.open(folder) as guard, ThreadPoolExecutor(8) as pool:
        for number in range(20):
            pool.submit(acts.append, "image_viewed", actor="ann")
            pool.submit(guard.append, record(number))

    assert told(folder) == ["image_viewed"] * 20
    assert verify(folder).records == 40


def test_a_closed_one_opens_anew(folder: Path) -> None:
    """So one failure does not end all acts after it."""
    acts = Acts(folder)
    acts.close()
    acts.append("signed_in", actor="ann")
    acts.close()

    assert told(folder) == ["signed_in"]


def test_a_ledger_is_not_made_by_the_way(tmp_path: Path) -> None:
    """A folder that is mistyped is an error."""
    with pytest.raises(LedgerError, match="not a ledger"):
        Acts(tmp_path / "leger")
    assert not (tmp_path / "leger").exists()


def test_a_change_that_fails_is_not_told(folder: Path) -> None:
    """Neither the account nor the event is there."""
    with Acts(folder) as acts, Accounts.open(folder) as accounts:
        changing = acts.changing(accounts, "account_added", actor="ada", details={"account": "eve"})
        with pytest.raises(InputError), changing:  # noqa: PT012
            accounts.add("eve", Role.ADMIN, WORDS)
            accounts.remove("bob")
        left = accounts.list()

    assert left == []
    assert told(folder) == []
