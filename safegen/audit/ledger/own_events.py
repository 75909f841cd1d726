"""Events that a ledger has to tell of itself."""

import time

from safegen.audit.ledger.event import happened
from safegen.audit.ledger.tail import PENDING, Gap
from safegen.nouns import Event

_CLOCK_SLACK = 1.0  # seconds by which a clock may go back without a word


def repaired(gap: Gap) -> Event:
    """Bytes at the end of the chain were set aside."""
    name = gap.file.name.removesuffix(PENDING)
    return happened(
        "repaired",
        reason="bytes that no signature vouches for were set aside: records cut off as they were "
        "written, whose requests got no image, or what somebody put there",
        details={"bytes": gap.bytes, "file": name, "sha256": gap.sha256},
    )


def clock_went_back(last_commit: float) -> list[Event]:
    """The clock stands before the last commit (seconds since 1970); nothing where it does not."""
    back = last_commit - time.time()
    if back <= _CLOCK_SLACK:
        return []
    return [
        happened(
            "clock_went_back",
            reason="times in the records before may be later than in those after; the order is "
            "that of the numbers",
            details={"seconds": round(back, 3)},
        )
    ]
