"""Records as rows of a spreadsheet. Text in them comes from requests, so no cell may be a formula.

A cell that begins with = + - @, a tab or a carriage return would be run by spreadsheet programs; it
gets an apostrophe before it, which they take as "this is text".
"""

import csv
import io
from collections.abc import Iterable, Iterator

from safegen.audit.aspects import scores_of
from safegen.audit.filters import State
from safegen.nouns import Record

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "no", "time", "id", "outcome", "state", "tenant", "region", "policy", "policy_digest", "rules",
    "reason", "images", "image_outcomes", "scores", "error",
)  # fmt: skip


def harmless(cell: str) -> str:
    """The text, so that no spreadsheet program runs it."""
    # Those programs drop what cannot be seen before they look.
    return f"'{cell}" if cell.lstrip(" \n\x00\ufeff\u200b").startswith(_FORMULA) else cell


def row(seq: int, record: Record, state: State) -> tuple[str, ...]:
    """The cells of a record."""
    decision = record.decision
    cells = (
        str(seq),
        record.time,
        record.id,
        record.outcome,
        state,
        record.context.tenant,
        record.context.region,
        decision.policy if decision else "",
        decision.policy_digest if decision else "",
        " ".join(rule.id for rule in decision.rules) if decision else "",
        decision.reason if decision else "",
        str(record.context.images),
        " ".join(image.outcome for image in record.images),
        " ".join(f"{name}={value:g}" for name, value in scores_of(record).items()),
        record.error,
    )
    return tuple(map(harmless, cells))


def csv_lines(rows: Iterable[tuple[int, Record, State]]) -> Iterator[str]:
    """CSV text, piece by piece, with a head."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for each in rows:
        writer.writerow(row(*each))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()
