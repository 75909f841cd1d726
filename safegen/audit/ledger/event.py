"""Events: what was done about a record or to the ledger, as it is written there."""

import uuid
from datetime import UTC, datetime
from importlib.metadata import version

from safegen.nouns import Details, Event

VERSION = version("safegen")  # of the code that runs, not of what is installed meanwhile


def now() -> str:
    """The time as the ledger tells it: ISO 8601, UTC, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def happened(
    what: str,
    *,
    actor: str = "",
    about: str = "",
    reason: str = "",
    details: Details | None = None,
) -> Event:
    """An event of now, under a new id; for the arguments see `Event`."""
    return Event(
        id=str(uuid.uuid4()),
        time=now(),
        what=what,
        actor=actor,
        about=about,
        reason=reason,
        details=details or {},
        safegen=VERSION,
    )
