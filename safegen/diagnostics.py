"""Diagnostics, told beside results and records: they may be lost, and nothing fails for their sake.

A stream that was closed, or a processor of the application's own, must not end a request.
"""

import time
from contextlib import suppress
from typing import Any

import structlog

_MINUTE = 60.0  # seconds


class Diagnostics:
    """A logger of structlog, as the application has configured it at that moment."""

    def __init__(self, name: str) -> None:
        """Tell under this name."""
        self._name = name

    def info(self, event: str, **told: Any) -> None:
        """What happened, and nothing is wrong."""
        self._tell("info", event, told)

    def warning(self, event: str, **told: Any) -> None:
        """What somebody should look at."""
        self._tell("warning", event, told)

    def error(self, event: str, **told: Any) -> None:
        """What failed."""
        self._tell("error", event, told)

    def _tell(self, level: str, event: str, told: dict[str, Any]) -> None:
        with suppress(Exception):
            getattr(structlog.get_logger(self._name), level)(event, **told)


class Seldom:
    """Tells of what may fail at every request: of each kind once a minute, and how often since."""

    def __init__(self, log: Diagnostics) -> None:
        """Tell it to this log."""
        self._log = log
        self._told: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def error(self, kind: str, event: str, **told: Any) -> None:
        """What failed; one of a kind that was told of lately is counted only."""
        now, last = time.monotonic(), self._told.get(kind)
        if last is not None and now - last < _MINUTE:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        self._told[kind] = now
        self._log.error(event, **told, untold=self._untold.pop(kind, 0))
