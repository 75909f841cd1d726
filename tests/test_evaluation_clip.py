"""CLIP as a judge of questions."""

import numpy as np
import pytest

from safegen.evaluation.clip import ClipJudge, named
from safegen.reference import WEIGHTS
from safegen.reference.render import render
from safegen.reference.world import Person, Scene


@pytest.fixture(scope="module")
def judge() -> ClipJudge:
    """The judging CLIP of the reference world."""
    return ClipJudge(f"local-dir:{WEIGHTS / 'judge-clip'}")


def test_questions_are_answered_by_the_nearest_text(judge: ClipJudge) -> None:
    """Light and dark skin of people in the reference world are told apart."""
    rng = np.random.default_rng(0)
    tones = {"light": 0, "dark": 4}
    people = [
        Person(i % 6, i % 2, tones["light" if i % 4 < 2 else "dark"], None) for i in range(40)
    ]
    images = [render(Scene(person, "white", ""), rng) for person in people]
    texts = {name: [f"a person with {name} skin"] for name in tones}
    answers = judge.answers(images, {"tone": texts})
    right = [tones[a["tone"]] == p.tone for a, p in zip(answers, people, strict=True)]
    assert np.mean(right) > 0.9


def test_likeness_of_an_answer_is_the_mean_over_its_texts(judge: ClipJudge) -> None:
    """Saying a text twice changes nothing; each image gets the answer it would get alone."""
    rng = np.random.default_rng(1)
    images = [render(Scene(Person(i, i % 2, 0, None), "blue", ""), rng) for i in range(8)]
    once = judge.answers(images, {"who": {"a": ["a man"], "b": ["a woman", "a cat"]}})
    twice = judge.answers(images, {"who": {"a": ["a man", "a man"], "b": ["a woman", "a cat"]}})
    alone = [
        judge.answers([image], {"who": {"a": ["a man"], "b": ["a woman", "a cat"]}})[0]
        for image in images
    ]
    assert once == twice == alone


def test_names_and_folders_are_told_apart() -> None:
    """NAME/TAG is parted at its slash, a folder is not."""
    assert named("ViT-B-32/openai") == ("ViT-B-32", "openai")
    assert named("local-dir:/a/b") == ("local-dir:/a/b", "")
