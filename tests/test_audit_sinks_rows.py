"""The tables: every row has exactly the columns that the table declares."""

from datetime import UTC, datetime

import pytest
from ledgers import BARE, FULL, event

from safegen.audit.ledger.format import Line
from safegen.audit.sinks.base import Item
from safegen.audit.sinks.rows import KEYS, TABLES, moment, rows_of


def test_rows_have_the_columns_of_their_table() -> None:
    """In every table there is a row, and its keys are columns."""
    entries = [FULL, BARE, event(1, "upheld", FULL)]
    items = [
        Item(Line(seq, "", "", "", entry.model_dump(mode="json")), entry)
        for seq, entry in enumerate(entries)
    ]
    tables = rows_of(items)

    assert [len(tables[name]) for name in TABLES] == [2, 2, 1, 1, 1]
    for name, columns in TABLES.items():
        assert set(KEYS[name]) <= set(columns)
        for row in tables[name]:
            assert list(row) == list(columns)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("2026-01-02T03:04:05.678+02:00", datetime(2026, 1, 2, 1, 4, 5, 678000, UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_moments(told: str, found: datetime | None) -> None:
    """Times are taken in UTC; what is no time, or before all times, is none."""
    assert moment(told) == found
