"""Each line of the ledger as one line of JSON, for whatever collects logs; made by structlog.

The JSON is ASCII, so that no text of a request can begin a line of its own or steer a terminal.
"""

import structlog

from safegen.audit.sinks.base import Item
from safegen.nouns import Record

_render = structlog.wrap_logger(
    structlog.ReturnLogger(),
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.JSONRenderer(separators=(",", ":")),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(0),
)


def rendered(item: Item, ledger: str) -> str:
    """The line, without an end of line.

    `key` names it for ever: a collector that takes it for the id of its document has no doubles.
    """
    log = getattr(_render, item.level)
    text: str = log(
        "safegen.request" if isinstance(item.entry, Record) else "safegen.event",
        timestamp=item.entry.time,
        key=f"{ledger}:{item.line.seq}",
        seq=item.line.seq,
        hash=item.line.hash,
        record=item.line.record,
    )
    return text
