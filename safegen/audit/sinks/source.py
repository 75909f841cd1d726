"""`Source`: what of a ledger can be shipped, which is what its signatures vouch for."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from safegen.audit.ledger.format import VERIFY, check_with, number_of
from safegen.audit.ledger.keys import load_public_key
from safegen.audit.ledger.query import (
    Place,
    Placed,
    SingleLines,
    entry_of,
    lines,
    segments_of,
    where,
)
from safegen.audit.ledger.standalone import CHECKPOINT, PUBLIC_KEY, Checkpoint, read_checkpoint
from safegen.audit.ledger.verify import verify
from safegen.audit.sinks.base import Batch, Cursor, Item
from safegen.errors import LedgerError, LedgerTamperedError, Tampering

_MOST_BYTES = 8 * 2**20  # of a batch, and what of a commit comes with them


class Source:
    """A ledger, read from a cursor on."""

    def __init__(self, folder: str | Path) -> None:
        """Read the ledger in this folder.

        Raises:
            LedgerError: there is none.
        """
        self.folder = Path(folder)
        segments_of(self.folder)
        key = load_public_key(self.folder / PUBLIC_KEY)
        self._check = check_with(key)
        self.ledger = sha256(key.public_bytes_raw()).hexdigest()

    def count(self) -> int:
        """How many lines its writers vouch for.

        Raises:
            LedgerError: the checkpoint that says so is missing or was changed.
        """
        return self._claim().count

    def require(self, cursor: Cursor, told: str) -> None:
        """See that the line at which a cursor stands is still there.

        Raises:
            LedgerError: it is of another ledger, or of another history of this one; the message
                names the sink `told`.
        """
        if cursor.ledger != self.ledger:
            raise LedgerError(
                f"{told} was fed from another ledger than {self.folder}: its key has the digest "
                f"{cursor.ledger[:16]}…, this one's {self.ledger[:16]}…",
                "give this ledger a sink of its own, or ship from that one",
            )
        if cursor.seq < 0 or self._purged(cursor):
            return
        try:
            line = SingleLines(self.folder, self._check).at(cursor.place)
            found = f"{line.seq} with hash {line.hash[:16]}…"
            same = (line.seq, line.hash) == (cursor.seq, cursor.hash)
        except LedgerError as error:
            found, same = error.message, False
        if not same and not self._purged(cursor):  # meanwhile
            raise LedgerError(
                f"{told} was fed up to line {cursor.seq} with hash {cursor.hash[:16]}…, which is "
                f"not in {self.folder} (replaced, or an old copy?): {found}",
                "restore the ledger that the sink was fed from, or empty the sink and its cursor "
                "to have everything delivered anew",
            )

    def batches(self, before: Cursor, most: int) -> Iterator[Batch]:
        """All that follows a cursor, in batches of about `most` lines that end with a commit.

        What the checkpoint does not count yet is not given: it may not be on the disk, and so be
        lost in a power cut, or be what a crash left. What was purged before it was delivered, also
        as it is read, is passed over, if the ledger verifies without it; the events that tell of it
        are delivered.

        Raises:
            LedgerTamperedError: a line is missing, does not follow the one before, or is not signed
                by this ledger's key; the batches before it were given.
            LedgerError: a line is not a record, or not one that this version knows.
        """
        broken: LedgerError | None = None
        while True:
            first = number_of(segments_of(self.folder)[0])
            try:
                start = self._beginning(before)
            except LedgerTamperedError as error:
                raise broken or error from None
            try:
                for batch in self._following(before, most, *start):
                    yield batch
                    before = batch.after
                return
            except LedgerError as error:
                # It may have been purged as it was read; then there is another first segment.
                if number_of(segments_of(self.folder)[0]) == first or not self._purged(before):
                    raise
                broken = error

    def _following(
        self, before: Cursor, most: int, seq: int, last: str, start: Place
    ) -> Iterator[Batch]:
        claim = self._claim()
        taken: list[Placed] = []
        failure: LedgerError | None = None
        size = 0
        try:
            following = lines(self.folder, start=start, after=(seq, last))
            while seq + 1 < claim.count:
                placed = next(following, None)
                if placed is None:
                    told = f"{claim.count} lines were written, and after line {seq} there are none"
                    raise self._tampered(Tampering.TRUNCATED, seq + 1, told)
                if placed.line.seq > seq + 1:
                    told = f"line {placed.line.seq} does not follow line {seq}"
                    raise self._tampered(Tampering.REMOVED, seq + 1, told)
                seq, last = placed.line.seq, placed.line.hash
                taken.append(placed)
                size += placed.end.byte - placed.place.byte
                if placed.line.signature and (len(taken) >= most or size >= _MOST_BYTES):
                    yield (batch := self._batch(before, taken))
                    before, taken, size = batch.after, [], 0
            if seq + 1 == claim.count and last != claim.hash:
                taken.clear()
                raise self._tampered(
                    Tampering.FORKED, seq, f"line {seq} is not the one that the checkpoint tells of"
                )
        except LedgerError as error:
            failure = error
        if taken:
            yield self._batch(before, taken)
        if failure is not None:
            raise failure

    def _purged(self, cursor: Cursor) -> bool:
        """Whether the segment in which the cursor stands, and some after it, are gone."""
        return number_of(segments_of(self.folder)[0]) > cursor.end.segment

    def _beginning(self, cursor: Cursor) -> tuple[int, str, Place]:
        """Number and hash of the line before the next one to deliver, and where that one stands."""
        if not self._purged(cursor):
            return cursor.seq, cursor.hash, cursor.end
        verify(self.folder)  # that the beginning was purged, and not just taken away
        first = next(lines(self.folder), None)
        if first is None or first.line.seq <= cursor.seq:
            raise self._tampered(
                Tampering.FORKED,
                cursor.seq,
                f"line {cursor.seq} was delivered, and stands no longer where it did",
            )
        return first.line.seq - 1, first.line.prev, first.place

    def _batch(self, before: Cursor, taken: list[Placed]) -> Batch:
        place, line, end = taken[-1]
        after = Cursor(ledger=self.ledger, seq=line.seq, hash=line.hash, place=place, end=end)
        items = [Item(e.line, entry_of(e.line, where(self.folder, e.place))) for e in taken]
        return Batch(before, after, items, [(e.place, e.end) for e in taken])

    def _claim(self) -> Checkpoint:
        try:
            return read_checkpoint(self.folder / CHECKPOINT, self._check)
        except (OSError, ValueError) as error:
            raise LedgerError(
                f"{self.folder / CHECKPOINT} is missing or was changed: {error}", VERIFY
            ) from error

    def _tampered(self, kind: Tampering, seq: int, told: str) -> LedgerTamperedError:
        return LedgerTamperedError(f"{self.folder}: {told}", seq, VERIFY, kind=kind)
