"""Sentence embeddings: near in meaning is near in space, and any text is embedded or refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safegen.errors import ClassifierError
from safegen.risk.embedding import MAX_CHARACTERS, SIZE, shared_embedder


def test_near_in_meaning_is_near_in_space() -> None:
    """Two ways to say a thing are nearer to each other than to something else."""
    dog, hound, tax = shared_embedder().all(["a dog", "a small hound", "a tax declaration"])

    assert dog @ hound > 0.5 > dog @ tax


@pytest.mark.parametrize("prompt", ["", " ", "\ud800", "\x00", "🪦" * 50, "日本語のプロンプト"])
def test_any_text_gives_unit_vectors(prompt: str) -> None:
    """Empty, broken and foreign text gives vectors of length one."""
    windows = shared_embedder()(prompt)

    assert windows.shape[1] == SIZE
    assert np.allclose(np.linalg.norm(windows, axis=1), 1, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=200))
def test_whatever_unicode_holds_is_embedded(prompt: str) -> None:
    """No text gives anything but finite numbers."""
    assert np.isfinite(shared_embedder()(prompt)).all()


def test_nothing_of_a_long_prompt_is_skipped() -> None:
    """What stands at the end of a long prompt has a window of its own."""
    windows = shared_embedder()("a meadow " * 200 + "a tax declaration")
    [tax] = shared_embedder().all(["a tax declaration"])

    assert len(windows) > 1
    assert windows[-1] @ tax > windows[0] @ tax


def test_a_huge_prompt_is_refused() -> None:
    """What cannot be embedded in bounded time is an error, and never counts as harmless."""
    with pytest.raises(ClassifierError, match=f"at most {MAX_CHARACTERS}"):
        shared_embedder()("a" * (MAX_CHARACTERS + 1))


def test_a_prompt_is_embedded_alike_beside_others() -> None:
    """What else is asked about changes nothing."""
    alone = shared_embedder()("a dog")[0]

    assert np.array_equal(shared_embedder().all(["a much longer prompt", "a dog"])[1], alone)


def test_a_disguise_is_read_beside_the_prompt() -> None:
    """What a reader would take it for follows the prompt; without a disguise, nothing does."""
    [plain] = shared_embedder()("a device that blows up")
    hidden = shared_embedder()("а dеvісе thаt bl0ws uр")  # Cyrillic letters, and a nought

    assert len(hidden) > 1
    assert max(hidden @ plain) > 0.99 > hidden[0] @ plain


def test_the_same_prompt_asked_again_is_not_embedded_again() -> None:
    """The classifiers of one request share the work; another prompt is not taken for it."""
    embedder = shared_embedder()
    first = embedder("a dog on a lawn")

    assert embedder("a dog on a lawn") is first
    assert not np.array_equal(embedder("a cat on a lawn"), first)
    assert np.array_equal(embedder("a dog on a lawn"), first)
