"""The circuit breaker, by a clock of the test's own: when it opens, tries and closes."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from safegen.risk.breaker import Breaker, BreakerOpenError


class DownError(Exception):
    """The service's failure, as the breaker is told."""


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock for one test."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """One that opens at the third failure in a row, for ten seconds."""
    return Breaker(3, 10.0, DownError, clock)


def ask(breaker: Breaker, outcome: BaseException | None = None) -> None:
    """One request that ends so."""
    with breaker.asking():
        if outcome is not None:
            raise outcome


def fail(breaker: Breaker, times: int) -> None:
    """So many requests that fail."""
    for _ in range(times):
        with pytest.raises(DownError):
            ask(breaker, DownError())


def is_open(breaker: Breaker) -> bool:
    """Whether a request is refused; one that is not succeeds."""
    try:
        ask(breaker)
    except BreakerOpenError:
        return True
    return False


def test_it_opens_at_the_last_failure_and_not_before(breaker: Breaker, clock: Clock) -> None:
    """Two failures are let be, the third opens it for exactly its time."""
    fail(breaker, 2)
    fail(breaker, 1)
    for passed in (0.0, 9.999):
        clock.now = 1000.0 + passed
        assert is_open(breaker)
    clock.now = 1010.0
    assert not is_open(breaker)


@pytest.mark.parametrize("between", [None, ValueError("the prompt's own")])
def test_failures_count_in_a_row(breaker: Breaker, between: Exception | None) -> None:
    """An answer between them, even one that is an error of another kind, begins anew."""
    fail(breaker, 2)
    with suppress(ValueError):
        ask(breaker, between)
    fail(breaker, 2)
    assert not is_open(breaker)


def test_errors_of_another_kind_never_open_it(breaker: Breaker) -> None:
    """What is not the service's failure may happen as often as it likes."""
    for _ in range(20):
        with pytest.raises(ValueError, match="own"):
            ask(breaker, ValueError("the prompt's own"))
    assert not is_open(breaker)


def test_one_trial_at_a_time(breaker: Breaker, clock: Clock) -> None:
    """While one request tries the service all others are refused; its success lets them in."""
    fail(breaker, 3)
    clock.now += 10
    with breaker.asking():
        with pytest.raises(BreakerOpenError, match="one request is trying it"):
            ask(breaker)
    fail(breaker, 2)
    assert not is_open(breaker)


def test_a_trial_that_fails_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    """One failure is enough then, and the time runs anew."""
    fail(breaker, 3)
    clock.now += 10
    fail(breaker, 1)
    clock.now += 9
    assert is_open(breaker)
    clock.now += 1
    assert not is_open(breaker)


@pytest.mark.parametrize("outcome", [None, DownError()])
def test_requests_from_before_do_not_settle_it(
    breaker: Breaker, clock: Clock, outcome: Exception | None
) -> None:
    """What was asked before it opened neither closes it, nor ends the trial, nor opens it anew."""

    def straggler() -> Callable[[], None]:
        asking = breaker.asking()
        asking.__enter__()
        return lambda: finish(asking, outcome)

    early, late, latest = straggler(), straggler(), straggler()
    fail(breaker, 3)
    early()
    assert is_open(breaker)
    clock.now += 10
    with breaker.asking():
        late()
        with pytest.raises(BreakerOpenError):
            ask(breaker)
    fail(breaker, 2)
    latest()
    assert not is_open(breaker)


def finish(asking: object, outcome: Exception | None) -> None:
    """Leave a request that was entered by hand."""
    leave = asking.__exit__  # type: ignore[attr-defined]
    if outcome is None:
        leave(None, None, None)
    else:
        assert not leave(type(outcome), outcome, None)


def test_an_interrupted_trial_frees_its_place(breaker: Breaker, clock: Clock) -> None:
    """Somebody who gives up has learned nothing: the next one tries."""
    fail(breaker, 3)
    clock.now += 10
    with pytest.raises(KeyboardInterrupt):
        ask(breaker, KeyboardInterrupt())
    fail(breaker, 1)
    assert is_open(breaker)


def test_an_interrupted_request_counts_for_nothing(breaker: Breaker) -> None:
    """Neither as a failure nor as an answer."""
    fail(breaker, 2)
    with pytest.raises(KeyboardInterrupt):
        ask(breaker, KeyboardInterrupt())
    fail(breaker, 1)
    assert is_open(breaker)


def test_many_ask_at_the_same_time(breaker: Breaker) -> None:
    """Eight threads are all within their requests at once, or the barrier breaks."""
    together = threading.Barrier(8)
    broken: list[BaseException] = []

    def request() -> None:
        try:
            with breaker.asking():
                together.wait(10)
        except threading.BrokenBarrierError as error:
            broken.append(error)

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken


def test_one_thread_of_many_tries(breaker: Breaker, clock: Clock) -> None:
    """Of threads that come when the time is over one is let through, all others are refused."""
    fail(breaker, 3)
    clock.now += 10
    refused = threading.Semaphore(0)
    passed: list[int] = []

    def request(number: int) -> None:
        try:
            with breaker.asking():
                passed.append(number)
                for _ in range(7):
                    assert refused.acquire(timeout=10)
        except BreakerOpenError:
            refused.release()

    threads = [threading.Thread(target=request, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 1
    assert not is_open(breaker)
