"""Standard output: one JSON object a line, for a collector at the other end of a pipe."""

import os
import stat
import sys

from safegen.audit.sinks.base import Batch, Cursor
from safegen.audit.sinks.lines import rendered
from safegen.errors import OutputError


class Stdout:
    """A pipe or file. A line counts as delivered once the system has it.

    What stands in a pipe when its reader dies is lost with it: collectors that must not lose
    anything take a file, or PostgreSQL.
    """

    most, pause = 500, 0.5
    to = "stdout"

    def __init__(self, file: int | None = None) -> None:
        """Write to an open file by its number, by default that of standard output."""
        self._file = file if file is not None else sys.stdout.fileno()

    def open(self, kept: Cursor) -> Cursor:
        """End what a run that was killed may have left at the end of a file: half a line."""
        found = os.fstat(self._file)
        if stat.S_ISREG(found.st_mode) and found.st_size:
            os.write(self._file, b"\n")
        return kept

    def deliver(self, batch: Batch) -> Cursor:
        """Write the lines.

        Raises:
            OutputError: nobody reads them any more, or the disk is full.
        """
        lines = (f"{rendered(item, batch.after.ledger)}\n" for item in batch.items)
        rest = memoryview("".join(lines).encode())
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise OutputError(
                f"standard output takes no more lines: {error}",
                "start what reads them, and this, again; it goes on where it was",
            ) from error
        return batch.after

    def close(self) -> None:
        """Nothing to close."""
