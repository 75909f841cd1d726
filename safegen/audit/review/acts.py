"""What reviewers and auditors do becomes events of the ledger, never a change of a record."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safegen.audit.ledger import Ledger
from safegen.audit.ledger.event import happened
from safegen.audit.review.accounts import Accounts
from safegen.audit.sqlite import writing
from safegen.nouns import Details, Event


class Acts:
    """Appends events to a ledger. Thread-safe."""

    def __init__(self, ledger: str | Path, key: str | Path | None = None) -> None:
        """Events go to this ledger, signed with `key`, by default `key.pem` in its folder."""
        self.ledger = Path(ledger)
        self._key = key
        self._lock = threading.Lock()

    def append(
        self,
        what: str,
        *,
        actor: str,
        about: str = "",
        reason: str = "",
        details: Details | None = None,
    ) -> Event:
        """Write an event, durably.

        Raises:
            LedgerError: the ledger took it not; then what it tells of must not be done.
            OutputError: the ledger's folder cannot be written.
        """
        event = happened(what, actor=actor, about=about, reason=reason, details=details)
        # Opened for each event, so that a guard can write to the same ledger in between.
        with self._lock, Ledger.open(self.ledger, key=self._key) as ledger:
            ledger.append(event)
        return event

    @contextmanager
    def changing(
        self, accounts: Accounts, what: str, *, actor: str, details: Details
    ) -> Iterator[None]:
        """What the block changes in the accounts, and the event that tells of it: both or neither.

        Raises:
            LedgerError: the ledger took it not.
            OutputError: the ledger or the accounts cannot be written.
        """
        with writing(accounts.database):
            yield
            self.append(what, actor=actor, details=details)
