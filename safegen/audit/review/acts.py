"""What reviewers and auditors do becomes events of the ledger, never a change of a record."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from safegen.audit.ledger import Ledger
from safegen.audit.ledger.event import happened
from safegen.audit.ledger.query import segments_of
from safegen.audit.review.accounts import Accounts
from safegen.audit.sqlite import writing
from safegen.errors import LedgerError
from safegen.nouns import Details, Event


class Acts:
    """Appends events to a ledger, which it holds open beside other writers. Thread-safe."""

    def __init__(self, ledger: str | Path, key: str | Path | None = None) -> None:
        """Events go to this ledger, signed with `key`, by default `key.pem` in its folder.

        Raises:
            LedgerError: there is no such ledger, or this key is not the one that wrote it.
            OutputError: the ledger's folder cannot be written.
        """
        segments_of(Path(ledger))
        self._open = partial(Ledger.open, ledger, key=key)
        self._lock = threading.Lock()
        self._ledger: Ledger | None = self._open()

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
        with self._lock:
            ledger = self._ledger = self._ledger or self._open()
        try:
            ledger.append(event)
        except LedgerError:
            self.close()  # one that stopped takes nothing until it is opened anew
            raise
        return event

    def close(self) -> None:
        """Close the ledger; a later event opens it anew."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.close()
            self._ledger = None

    def __enter__(self) -> Self:
        """Itself; leaving the block closes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

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
