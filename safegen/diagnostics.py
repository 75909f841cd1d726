"""Diagnostics, told beside results and records: they may be lost, and nothing fails for their sake.

A stream that was closed, or a processor of the application's own, must not end a request.
"""

from contextlib import suppress
from typing import Any

import structlog


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
