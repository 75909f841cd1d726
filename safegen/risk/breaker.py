"""Stop asking a service that is down, for a while, and let one request try whether it is back.

Nothing is held while a request is on its way: many may run at once. (pybreaker holds its lock
over the call, so that all callers of a process wait for one another.)
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class BreakerOpenError(Exception):
    """Nothing is asked now."""


class Breaker:
    """Opens after so many failures in a row; after a time, one trial closes or reopens it.

    Args:
        failures: in a row, after which nothing is asked, ≥ 1.
        seconds: until a trial is let through.
        counts: the exceptions that are failures of the service. After any other one it is there.
        now: the time, in seconds.
    """

    def __init__(
        self,
        failures: int,
        seconds: float,
        counts: type[Exception],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._seconds, self._counts, self._now = failures, seconds, counts, now
        self._lock = threading.Lock()
        self._failed = 0
        self._closed = True
        self._trial_from = 0.0
        self._trying = False
        # Requests of an earlier phase say nothing of now: one that was let through before the
        # breaker opened neither counts twice nor settles the trial.
        self._phase = 0

    @contextmanager
    def asking(self) -> Iterator[None]:
        """One request is made within; what it raises, or not, tells how the service is.

        Raises:
            BreakerOpenError: it must not be made.
        """
        phase = self._let_through()
        try:
            yield
        except self._counts:
            self._settle(phase, failed=True)
            raise
        except Exception:
            self._settle(phase, failed=False)
            raise
        except BaseException:  # interrupted: nothing is known, but the trial is free again
            self._give_up(phase)
            raise
        self._settle(phase, failed=False)

    def _let_through(self) -> int:
        with self._lock:
            if not self._closed:
                left = self._trial_from - self._now()
                if left > 0:
                    raise BreakerOpenError(f"it failed lately, and is asked again in {left:.0f} s")
                if self._trying:
                    raise BreakerOpenError("it failed lately, and one request is trying it")
                self._trying = True
                self._phase += 1
            return self._phase

    def _settle(self, phase: int, *, failed: bool) -> None:
        with self._lock:
            if phase != self._phase:
                return
            self._failed = self._failed + 1 if failed else 0
            if self._trying or self._failed >= self._most:
                self._closed = not failed
                self._trial_from = self._now() + self._seconds
                self._trying, self._failed = False, 0
                self._phase += 1

    def _give_up(self, phase: int) -> None:
        with self._lock:
            if phase == self._phase:
                self._trying = False
