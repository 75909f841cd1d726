"""What every sink is, and what is delivered to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from safegen.audit.ledger.format import GENESIS, Line
from safegen.audit.ledger.query import Place
from safegen.nouns import Event, Frozen, Outcome, Record

_LEVELS = {
    Outcome.ERROR: "error",
    Outcome.BLOCKED: "warning",
    Outcome.REVIEW: "warning",
    Outcome.ALTERED: "warning",
}


class Cursor(Frozen):
    """How far a sink has come: the last line that it holds, and where that stands."""

    ledger: str  # SHA-256 of its public key, hex
    seq: int = -1
    hash: str = GENESIS
    place: Place = Place()
    end: Place = Place()


class Item(NamedTuple):
    """A line of the ledger, and what it says."""

    line: Line
    entry: Record | Event

    @property
    def level(self) -> str:
        """How much a reader of logs should care: info, warning or error."""
        return _LEVELS.get(self.entry.outcome, "info") if isinstance(self.entry, Record) else "info"


@dataclass(frozen=True)
class Batch:
    """Lines that follow `before`, one after the other; the last of them is `after`."""

    before: Cursor
    after: Cursor
    items: Sequence[Item]
    places: Sequence[tuple[Place, Place]]  # of each line, and where the next one begins

    def after_first(self, count: int) -> Cursor:
        """How far a sink has come that has the first `count` lines, at least one."""
        line, (place, end) = self.items[count - 1].line, self.places[count - 1]
        return Cursor(ledger=self.after.ledger, seq=line.seq, hash=line.hash, place=place, end=end)


class Sink(Protocol):
    """Where records are shipped to.

    The ledger's public key and a line's number name a line for ever: a sink that can tells by them
    what it already has.
    """

    to: str  # for people, without passwords; the cursor that is kept between runs is kept by it
    most: int  # lines in a batch, and what of a commit comes with them
    pause: float  # seconds between looks at a ledger that is followed

    def open(self, kept: Cursor) -> Cursor:
        """Connect, and say after which line to go on: `kept`, or what the sink itself knows.

        Raises:
            SinkError: it does not answer.
            InputError: it can never take these records, as it is.
        """

    def deliver(self, batch: Batch) -> Cursor:
        """Take these lines, and say how far it has come now.

        That is `batch.after`, or another place if it took only the first of them
        (`batch.after_first`), or if somebody else has delivered meanwhile.

        Raises:
            SinkError: it is not known to have any of them.
        """

    def close(self) -> None:
        """Give back what `open` took; may be called twice."""
