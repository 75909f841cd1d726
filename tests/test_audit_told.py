"""What all lines of a ledger tell of what is gone, and how old the rest is."""

from pathlib import Path

import pytest
from ledgers import asked, event, forge, record
from purging import day

from safegen.audit.erase import erase
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.ledger.masking import key_of
from safegen.audit.told import told
from safegen.errors import LedgerTamperedError


def test_everything_is_told(tmp_path: Path) -> None:
    """Erased keys, purged segments, and by segment the earliest time and what is overdue."""
    with Ledger.open(tmp_path) as ledger, Index.open(tmp_path) as index:
        mine = asked(ledger, record(0, hours=30))
        ledger.append(record(1, hours=6))
        ledger.begin_segment()
        ledger.append(record(2, hours=48))
        ledger.append(record(3).model_copy(update={"time": "tomorrow"}))
        ledger.append(event(0, "purged").model_copy(update={"details": {"segment": 7}}))
        erase(ledger, index, mine.subject, actor="x")
        found = told(ledger, day(1))

    assert (found.erased, found.purged) == ({key_of(mine)}, {7})
    assert dict(found.overdue) == {0: 1, 1: 0}
    assert found.oldest_but([]) == 0
    assert found.oldest_but([1]) == day(0.25).timestamp() * 1000
    assert found.oldest_but([0, 1]) is None


def test_what_another_key_signed_is_told_of_as_such(tmp_path: Path) -> None:
    """A line that the ledger's key did not sign ends it."""
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(0))
        forge(tmp_path, event(0, "purged").model_copy(update={"details": {"segment": 0}}))
        with pytest.raises(LedgerTamperedError, match="not signed with"):
            told(ledger, day(1))
