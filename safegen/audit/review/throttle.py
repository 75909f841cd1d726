"""So much in so long: guesses of passwords, and requests of one account."""

import threading
import time
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

_MOST_KEYS = 10_000
_MOST_COUNTED = 3000


class Throttle:
    """Counts by key, such as an account or an address, over so many seconds. Thread-safe."""

    def __init__(self, seconds: float) -> None:
        """Nothing is counted yet."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._counted: dict[Hashable, deque[float]] = {}

    def take(self, allowed: Mapping[Any, int]) -> int:
        """Count one now for each key, if there are fewer than allowed of all; else seconds to wait.

        What comes at once is counted one after the other, before anything is done for it.
        """
        with self._lock:
            wait = max(self._wait(key, most) for key, most in allowed.items())
            if not wait:
                for key in allowed:
                    self._count(key)
        return wait

    def give_back(self, keys: Iterable[Hashable]) -> None:
        """Count one less for each of these keys: it was no failure."""
        with self._lock:
            for key in keys:
                if counted := self._counted.get(key):
                    counted.pop()

    def forget(self, key: Hashable) -> None:
        """Begin at nothing: the right password was given."""
        with self._lock:
            self._counted.pop(key, None)

    def _wait(self, key: Hashable, allowed: int) -> int:
        now = time.monotonic()
        counted = self._counted.get(key, deque())
        while counted and counted[0] < now - self._seconds:
            counted.popleft()
        return int(counted[0] + self._seconds - now) + 1 if len(counted) >= allowed else 0

    def _count(self, key: Hashable) -> None:
        counted = self._counted.pop(key, deque(maxlen=_MOST_COUNTED))
        counted.append(time.monotonic())
        self._counted[key] = counted  # at the end: the keys counted last are kept
        while len(self._counted) > _MOST_KEYS:
            del self._counted[next(iter(self._counted))]
