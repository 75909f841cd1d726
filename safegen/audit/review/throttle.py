"""Guessing passwords is slow: a few failures, then a pause."""

import threading
import time
from collections import deque

WINDOW = 5 * 60  # seconds
_MOST_KEYS = 10_000


class Throttle:
    """Counts failures by key, such as an account or an address, over five minutes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, deque[float]] = {}

    def wait(self, key: str, allowed: int) -> int:
        """Seconds until another try is let through; 0: now."""
        now = time.monotonic()
        with self._lock:
            failures = self._failures.get(key, deque())
            while failures and failures[0] < now - WINDOW:
                failures.popleft()
            return int(failures[0] + WINDOW - now) + 1 if len(failures) >= allowed else 0

    def failed(self, key: str) -> None:
        """Count a failure."""
        with self._lock:
            failures = self._failures.pop(key, deque(maxlen=100))
            failures.append(time.monotonic())
            self._failures[key] = failures  # at the end: the keys that failed last are kept
            while len(self._failures) > _MOST_KEYS:
                del self._failures[next(iter(self._failures))]

    def forget(self, key: str) -> None:
        """The right password ends the count."""
        with self._lock:
            self._failures.pop(key, None)
