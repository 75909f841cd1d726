"""What an index holds of each record, for lists; the record itself is in the ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from safegen.audit.filters import State
from safegen.audit.ledger.query import Place
from safegen.audit.standing import STATES
from safegen.nouns import Outcome, Record

OUTCOMES = list(Outcome)
COLUMNS = "seq, id, time, outcome, state, segment, byte"  # of `row_of`


class Row(NamedTuple):
    """A record as the index knows it."""

    seq: int
    id: str
    time: int
    outcome: Outcome
    state: State
    place: Place

    def is_of(self, record: Record) -> bool:
        """Whether the record says of itself what stands here of it; the state is not in it."""
        told = record.id, ms_of(record.time), record.outcome
        return told == (self.id, self.time, self.outcome)


def row_of(found: Sequence[int | str]) -> Row:
    """The row that a SELECT gave."""
    seq, name, time, outcome, state, segment, byte = found
    return Row(
        int(seq),
        str(name),
        int(time),
        OUTCOMES[int(outcome)],
        STATES[int(state)],
        Place(int(segment), int(byte)),
    )


def ms_of(time: str) -> int:
    """Milliseconds since 1970; a time that is none, in a line crafted by hand, comes first."""
    try:
        return int(datetime.fromisoformat(time).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0
