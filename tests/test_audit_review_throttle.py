"""`Throttle`: so much in so long."""

import pytest

from safegen.audit.review.throttle import Throttle


def test_what_was_counted_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time one may go on; another key may at once."""
    throttle = Throttle(300)
    for _ in range(2):
        throttle.count("a")
    waits = throttle.wait("a", 2), throttle.wait("b", 2)
    monkeypatch.setattr("time.monotonic", lambda: 1e12)

    assert 0 < waits[0] <= 301
    assert waits[1] == 0
    assert throttle.wait("a", 2) == 0


def test_forgetting_lets_go_on() -> None:
    """As the right password does."""
    throttle = Throttle(300)
    throttle.count("a")
    throttle.forget("a")

    assert throttle.wait("a", 1) == 0


def test_made_up_keys_do_not_fill_the_memory() -> None:
    """Of very many keys those counted last are kept."""
    throttle = Throttle(300)
    for number in range(10_001):
        throttle.count(str(number))

    assert throttle.wait("0", 1) == 0
    assert throttle.wait("10000", 1) > 0
