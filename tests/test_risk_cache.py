"""Answers are remembered by the hash of the prompt, and only as many as asked for."""

from collections.abc import Sequence

import pytest

from safegen.errors import ClassifierError
from safegen.nouns import Scores
from safegen.risk.cache import Cached


class Counting:
    """Gives each prompt its length over a hundred, and keeps what it was asked."""

    name = "counting"
    digest = "sha256:c0"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """The scores."""
        self.asked += prompts
        return [Scores(values={"length": len(each) / 100}) for each in prompts]


def test_a_prompt_is_asked_about_once() -> None:
    """Repeated prompts, within a call and between calls, get the same answer without asking."""
    counting = Counting()
    cached = Cached(counting)

    first = cached(["a", "bb", "a"])
    assert cached(["bb", "ccc"]) == [first[1], Scores(values={"length": 0.03})]
    assert [each.values["length"] for each in first] == [0.01, 0.02, 0.01]
    assert counting.asked == ["a", "bb", "ccc"]


def test_the_longest_unused_goes_first() -> None:
    """Beyond its size the cache forgets, and asks anew."""
    counting = Counting()
    cached = Cached(counting, size=2)
    for prompt in ("a", "b", "a", "c", "a", "b"):
        cached([prompt])

    assert counting.asked == ["a", "b", "c", "b"]


def test_it_is_known_as_what_it_asks() -> None:
    """Name and digest are those of the classifier inside."""
    cached = Cached(Counting())

    assert (cached.name, cached.digest) == ("counting", "sha256:c0")


def test_any_text_can_be_remembered() -> None:
    """A lone surrogate, which is no valid UTF-8, is a prompt like another."""
    assert Cached(Counting())(["\ud800"]) == [Scores(values={"length": 0.01})]


def test_a_failure_is_not_remembered() -> None:
    """A classifier that raises or miscounts is asked again the next time."""
    broken = Cached(lambda _: [])
    for _ in range(2):
        with pytest.raises(ClassifierError, match="0 results for 1"):
            broken(["a"])
