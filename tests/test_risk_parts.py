"""The parts of a prompt: each clause and window by itself, nothing left out, in bounded number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safegen.risk.parts import parts


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (
            "two dogs on a lawn, 8k, trending on artstation",
            ["two dogs on a lawn", "trending on artstation"],
        ),
        ("A beautiful oil painting of two dogs on a lawn", ["two dogs on a lawn"]),
        ("close-up photo of two dogs at play (bokeh), soft light", ["two dogs at play"]),
        ("two dogs on a lawn, no cat to be seen", ["two dogs on a lawn"]),
        ("a detailed photograph of a man by the sea: winter", ["a man by the sea"]),
    ],
)
def test_clauses_without_their_medium(prompt: str, expected: list[str]) -> None:
    """Clauses of three words and more that deny nothing, without what the picture is made of."""
    assert parts(prompt) == expected


@pytest.mark.parametrize(
    "prompt", ["", "a dog", "two dogs on a lawn", "Two dogs on a lawn.", "8k, bokeh"]
)
def test_a_prompt_that_is_one_part_has_none(prompt: str) -> None:
    """It is embedded as a whole anyway."""
    assert parts(prompt) == []


def test_a_long_clause_is_read_by_windows() -> None:
    """Every word of it stands in a window of a dozen words, and in the middle of one."""
    words = [f"word{i}" for i in range(40)]
    windows = [part.split() for part in parts(" ".join(words))]

    assert {word for window in windows for word in window} == set(words)
    assert max(map(len, windows)) == 12
    for word in words[6:30]:
        assert any(2 <= window.index(word) <= 9 for window in windows if word in window)


@given(st.lists(st.sampled_from(["a", "red", "dog", "runs", ",", "."]), min_size=500, max_size=900))
def test_there_are_never_many(words: list[str]) -> None:
    """Neighbours are joined where there would be more than 64, and none is lost."""
    found = parts(" ".join(words))

    assert len(found) <= 64


def test_the_last_of_very_many_clauses_is_still_read() -> None:
    """Neighbours are joined, and none is left out of what image models read."""
    found = parts(", ".join(f"a red r{i}" for i in range(150)) + ", the very end")

    assert len(found) <= 64
    assert "the very end" in found[-1]
    assert all(f"r{i}" in " ".join(found) for i in range(150))


def test_a_very_long_prompt_is_parted_at_its_start_alone() -> None:
    """So that none takes long; embeddings of the whole see the rest."""
    clauses = [f"meadow number {i} in bloom" for i in range(2000)]

    assert " ".join(parts(", ".join(clauses))).count("meadow") < 100
