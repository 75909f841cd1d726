"""Who judges a card: the reference world's judges where they have a question, CLIP elsewhere."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from safegen.concepts.discovery.spec import PromptPair
from safegen.errors import InputError
from safegen.evaluation.eyes import clip_eyes, eyes_for
from safegen.reference.render import render
from safegen.reference.world import BACKGROUNDS, GENDERS, OCCUPATIONS, Person, Scene

COOK = PromptPair(neutral="a photo of a cook", target="a photo of a woman cook")


def scores(images: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
    """A CLIP that reads: an image is a text's if it has its first letter's shade."""
    return [
        -abs(image.getpixel((0, 0)) - ord(text[0]))  # type: ignore[operator]
        for image, text in zip(images, texts, strict=True)
    ]


def shade(letter: str) -> Image.Image:
    """An image of this letter's shade."""
    return Image.new("L", (4, 4), ord(letter))


def test_clip_compares_with_what_is_to_be_left() -> None:
    """With `avoid` if there is one, else with the neutral text."""
    eyes = clip_eyes(scores, "letters")
    pairs = [PromptPair(neutral="b", target="t"), PromptPair(neutral="s", target="t", avoid="b")]

    assert eyes.shows([shade("t"), shade("s")], pairs) == [True, True]
    assert eyes.shows([shade("c"), shade("c")], pairs) == [False, False]


def test_content_is_kept_where_the_own_text_is_nearest() -> None:
    """Of all the neutral texts."""
    eyes = clip_eyes(scores, "letters")
    pairs = [PromptPair(neutral="b", target="t"), PromptPair(neutral="s", target="t")]

    assert eyes.kept([shade("c"), shade("c")], pairs) == [True, False]


@pytest.mark.parametrize(("concept", "gender"), [("woman", "woman"), ("man", "man")])
def test_the_reference_judges_see_a_render(concept: str, gender: str) -> None:
    """A drawn woman cook shows woman, not man, and is a cook."""
    eyes = eyes_for(concept, reference=True)
    cook = [occupation.name for occupation in OCCUPATIONS].index("cook")
    person = Person(cook, GENDERS.index("woman"), 2, None)
    drawn = [render(Scene(person, next(iter(BACKGROUNDS)), ""), np.random.default_rng(0))]
    other = [PromptPair(neutral="a photo of a pilot", target="")]

    assert eyes.shows(drawn, [COOK]) == [gender == "woman"]
    assert eyes.kept(drawn, [COOK]) == [True]
    assert eyes.kept(drawn, other) == [False]
    assert eyes.name == "the world's judge"


def test_the_reference_clip_judges_other_concepts() -> None:
    """The judges have no question for hats."""
    assert eyes_for("hat", reference=True).name == "judge-clip"


def test_nobody_judges_another_model_unasked() -> None:
    """Without --clip there is no judge."""
    with pytest.raises(InputError, match="--clip"):
        eyes_for("woman", reference=False)
