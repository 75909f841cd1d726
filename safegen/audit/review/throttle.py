"""So much in so long: guesses of passwords, and requests of one account."""

import threading
import time
from collections import deque

_MOST_KEYS = 10_000
_MOST_COUNTED = 1000


class Throttle:
    """Counts by key, such as an account or an address, over so many seconds. Thread-safe."""

    def __init__(self, seconds: float) -> None:
        """Nothing is counted yet."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._counted: dict[str, deque[float]] = {}

    def wait(self, key: str, allowed: int) -> int:
        """Seconds until there are fewer than `allowed` again; 0: now."""
        now = time.monotonic()
        with self._lock:
            counted = self._counted.get(key, deque())
            while counted and counted[0] < now - self._seconds:
                counted.popleft()
            return int(counted[0] + self._seconds - now) + 1 if len(counted) >= allowed else 0

    def count(self, key: str) -> None:
        """Count one now."""
        with self._lock:
            counted = self._counted.pop(key, deque(maxlen=_MOST_COUNTED))
            counted.append(time.monotonic())
            self._counted[key] = counted  # at the end: the keys counted last are kept
            while len(self._counted) > _MOST_KEYS:
                del self._counted[next(iter(self._counted))]

    def forget(self, key: str) -> None:
        """Begin at nothing: the right password was given."""
        with self._lock:
            self._counted.pop(key, None)
