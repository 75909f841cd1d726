"""`Source`: what of a ledger can be shipped, which is what its signatures vouch for."""

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from safegen.audit.ledger.format import check_with, segment_name
from safegen.audit.ledger.keys import PUBLIC_KEY, load_public_key
from safegen.audit.ledger.query import Placed, entry_of, line_at, lines, segments_of, where
from safegen.audit.ledger.standalone import CHECKPOINT, line_statement, read_checkpoint
from safegen.audit.sinks.base import Batch, Cursor, Item
from safegen.errors import LedgerError, LedgerTamperedError, Tampering

_MOST_BYTES = 8 * 2**20  # of a batch, and what of a commit comes with them
_MENDED = 0.2  # seconds in which a writer sets aside what a crash left
_VERIFY = "run: safegen audit verify"


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
        try:
            return read_checkpoint(self.folder / CHECKPOINT, self._check).count
        except (OSError, ValueError) as error:
            raise LedgerError(
                f"{self.folder / CHECKPOINT} is missing or was changed: {error}", _VERIFY
            ) from error

    def require(self, cursor: Cursor, told: str) -> None:
        """See that the line at which a cursor stands is still there.

        Raises:
            LedgerError: it is of another ledger, or of another history of this one; the message
                names the sink `told`.
        """
        mend = (
            "restore the ledger that the sink was fed from, or empty the sink and its cursor "
            "to have everything delivered anew"
        )
        if cursor.ledger != self.ledger:
            raise LedgerError(
                f"{told} was fed from another ledger than {self.folder}: its key has the digest "
                f"{cursor.ledger[:16]}…, this one's {self.ledger[:16]}…",
                mend,
            )
        if cursor.seq < 0:
            return
        try:
            line = line_at(self.folder, cursor.place)
            found = f"{line.seq} with hash {line.hash[:16]}…"
            same = (line.seq, line.hash) == (cursor.seq, cursor.hash)
        except LedgerError as error:
            found, same = error.message, False
        if not same:
            raise LedgerError(
                f"{told} was fed up to line {cursor.seq} with hash {cursor.hash[:16]}…, which is "
                f"not in {self.folder} (replaced, or an old copy?): {found}",
                mend,
            )

    def batches(self, cursor: Cursor, most: int) -> Iterator[Batch]:
        """All that follows a cursor, in batches of about `most` lines that end with a commit.

        Raises:
            LedgerTamperedError: a line does not follow the one before, or is not signed by this
                ledger's key; the batches before it were given.
            LedgerError: a line is not a record, or not one that this version knows.
        """
        try:
            for batch in self._batches(cursor, most):
                yield batch
                cursor = batch.after
        except LedgerError:
            # A writer may have set aside what a crash left in the moment in which it was read.
            time.sleep(_MENDED)
            yield from self._batches(cursor, most)

    def _batches(self, before: Cursor, most: int) -> Iterator[Batch]:
        taken: list[Placed] = []
        seq, last, size = before.seq, before.hash, 0
        failure: LedgerError | None = None
        try:
            for placed in lines(self.folder, start=before.end):
                line = placed.line
                if (line.seq, line.prev) != (seq + 1, last):
                    raise self._misplaced(placed, seq + 1)
                seq, last = line.seq, line.hash
                taken.append(placed)
                size += placed.end.byte - placed.place.byte
                if line.signature and (len(taken) >= most or size >= _MOST_BYTES):
                    yield (batch := self._batch(before, taken))
                    before, taken, size = batch.after, [], 0
        except LedgerError as error:
            failure = error
        while taken and not taken[-1].line.signature:  # of a commit that broke off
            taken.pop()
        if taken:
            yield self._batch(before, taken)
        if failure is not None:
            raise failure

    def _batch(self, before: Cursor, taken: list[Placed]) -> Batch:
        """The lines, of which the last is signed, and so vouches for all of them."""
        place, line, end = taken[-1]
        try:
            with (self.folder / segment_name(place.segment)).open("rb") as file:
                file.seek(place.byte)
                data = file.read(end.byte - place.byte)
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {self.folder}: {error}") from error
        if not self._check(line_statement(data), bytes.fromhex(line.signature)):
            raise LedgerTamperedError(
                f"{where(self.folder, place)} is not signed with this ledger's key, or one of the "
                f"lines {before.seq + 1} to {line.seq} was changed",
                before.seq + 1,
                _VERIFY,
                kind=Tampering.ALTERED,
            )
        after = Cursor(ledger=self.ledger, seq=line.seq, hash=line.hash, place=place, end=end)
        items = [Item(each.line, entry_of(each.line, self._told(each))) for each in taken]
        return Batch(before, after, items)

    def _told(self, placed: Placed) -> str:
        return where(self.folder, placed.place)

    def _misplaced(self, placed: Placed, expected: int) -> LedgerTamperedError:
        missing = placed.line.seq > expected
        return LedgerTamperedError(
            f"{self._told(placed)} holds line {placed.line.seq}, which does not follow line "
            f"{expected - 1}",
            expected,
            _VERIFY,
            kind=Tampering.REMOVED if missing else Tampering.FORKED,
        )
