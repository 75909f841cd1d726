"""`Throttle`: so much in so long."""

import pytest

from safegen.audit.review.throttle import Throttle


def test_what_was_counted_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time one may go on; another key may at once."""
    throttle = Throttle(300)
    begun = [throttle.take({"a": 2}) for _ in range(2)]
    waits = throttle.take({"a": 2}), throttle.take({"b": 2})
    monkeypatch.setattr("time.monotonic", lambda: 1e12)

    assert begun == [0, 0]
    assert 0 < waits[0] <= 301
    assert waits[1] == 0
    assert throttle.take({"a": 2}) == 0


def test_forgetting_lets_go_on() -> None:
    """As the right password does."""
    throttle = Throttle(300)
    throttle.take({"a": 1})
    throttle.forget("a")

    assert throttle.take({"a": 1}) == 0


def test_what_waits_for_one_key_counts_for_none() -> None:
    """All keys let it through, or it is as if it never came; no failure is given back."""
    throttle = Throttle(300)
    throttle.take({"a": 1})

    assert throttle.take({"a": 1, "b": 1}) > 0
    assert throttle.take({"b": 1}) == 0
    throttle.give_back(["a", "b", "never counted"])
    assert throttle.take({"a": 1, "b": 1}) == 0


def test_made_up_keys_do_not_fill_the_memory() -> None:
    """Of very many keys those counted last are kept."""
    throttle = Throttle(300)
    for number in range(10_001):
        throttle.take({str(number): 1})

    assert throttle.take({"10000": 1}) > 0
    assert throttle.take({"0": 1}) == 0
