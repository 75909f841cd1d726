"""Answers are kept by content, and a run that stopped goes on."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from safegen.evaluation.subjects import Answer, Ask, Kept
from safegen.nouns import Outcome


class Grey:
    """Answers with grey images, as bright as the seed; withholds those of odd seeds."""

    name = "grey"

    def __init__(self, digest: str = "1", stop_after: int = 1000) -> None:
        """Fail after so many requests, as a killed run does."""
        self.digest, self.batches, self._left = digest, [], stop_after
        self.batches: list[int] = []

    def __call__(self, asks: Sequence[Ask]) -> list[Answer]:
        """One answer each."""
        self.batches.append(len(asks))
        self._left -= len(asks)
        if self._left < 0:
            raise KeyboardInterrupt
        return [
            Answer(
                Outcome.ALLOWED,
                tuple(
                    None if seed % 2 else Image.new("RGB", (4, 4), (seed, seed, seed))
                    for seed in range(ask.seed, ask.seed + ask.images)
                ),
            )
            for ask in asks
        ]


ASKS = [Ask("a", 2, 10), Ask("b", 1, 20), Ask("c", 1, 31)]


def test_kept_answers_are_the_answers(tmp_path: Path) -> None:
    """The second time nothing is asked, and images, gaps and outcomes are the same."""
    subject = Grey()
    first = Kept(subject, tmp_path)(ASKS)
    again = Kept(subject, tmp_path)(ASKS)
    assert len(subject.batches) == 1
    assert [answer.outcome for answer in again] == [Outcome.ALLOWED] * 3
    assert [[i and i.tobytes() for i in a.images] for a in again] == [
        [i and i.tobytes() for i in a.images] for a in first
    ]
    assert again[2].shown == []
    assert [answer.withheld for answer in again[1:]] == [0, 1]


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """What was answered before the stop is not asked again."""
    with pytest.raises(KeyboardInterrupt):
        Kept(Grey(stop_after=2), tmp_path, batch=1)(ASKS)
    subject = Grey()
    assert len(Kept(subject, tmp_path, batch=1)(ASKS)) == 3
    assert sum(subject.batches) == 1


def test_a_batch_that_was_left_half_done_is_made_anew(tmp_path: Path) -> None:
    """Its size decides an image's last bits."""
    asks = [Ask("a", 1, 10), Ask("b", 1, 20)]
    Kept(Grey(), tmp_path, batch=2)(asks)
    next(tmp_path.rglob("answer.json")).unlink()
    again = Grey()
    Kept(again, tmp_path, batch=2)(asks)

    assert again.batches == [2]


def test_another_subject_has_other_answers(tmp_path: Path) -> None:
    """The digest is part of what an answer is kept under."""
    Kept(Grey("1"), tmp_path)(ASKS)
    subject = Grey("2")
    Kept(subject, tmp_path)(ASKS)
    assert sum(subject.batches) == 3


def test_batches_are_alike_in_guidance(tmp_path: Path) -> None:
    """Requests of different guidance scales, or of too many images, are not one batch."""
    subject = Grey()
    asks = [Ask("a", 2), Ask("b", 2, guidance_scale=7.5), Ask("c", 3, guidance_scale=7.5)]
    Kept(subject, tmp_path, batch=4)(asks)
    assert subject.batches == [1, 1, 1]


def test_equal_requests_are_asked_once(tmp_path: Path) -> None:
    """The same request twice is one question and two answers."""
    subject = Grey()
    assert len(Kept(subject, tmp_path)([ASKS[0], ASKS[0]])) == 2
    assert subject.batches == [1]


@pytest.mark.usefixtures("one_thread")
def test_answers_with_other_last_bits_are_not_those_asked_for(tmp_path: Path) -> None:
    """Threads and the size of a batch decide them, and images are compared by them."""
    subject = Grey()
    Kept(subject, tmp_path, 4)(ASKS[:1])
    Kept(subject, tmp_path, 4)(ASKS[:1])
    assert len(subject.batches) == 1
    Kept(subject, tmp_path, 2)(ASKS[:1])
    assert len(subject.batches) == 2
    torch.set_num_threads(2)
    Kept(subject, tmp_path, 4)(ASKS[:1])
    assert len(subject.batches) == 3
