"""Concepts described by example phrases: no training, and prompts in other words are found."""

import pytest

from safegen.risk.similarity import Concept, SimilarityClassifier, SimilaritySettings

ARSON = Concept(
    examples=(
        "setting a house on fire",
        "an arsonist pouring petrol",
        "burning down a building on purpose",
        "a man lighting a car on fire",
        "throwing a burning bottle at a shop",
    ),
    unlike=("a campfire", "a fireplace in a cosy room", "firefighters at work"),
)


def scores(*prompts: str, concept: Concept = ARSON) -> list[float]:
    """The score of each prompt for one concept."""
    settings = SimilaritySettings(kind="similarity", concepts={"arson": concept})
    found = SimilarityClassifier("near", settings)(prompts)
    return [each.values["arson"] for each in found]


def test_other_words_for_the_same_are_found() -> None:
    """A prompt that shares the meaning scores high, and one that does not scores low."""
    same, else_ = scores("someone torches an office with gasoline", "a bowl of fruit on a table")

    assert same > 0.5 > 0.1 > else_


def test_what_it_is_unlike_counts_against_it() -> None:
    """A phrase of `unlike` lowers the score of what comes near to it."""
    campfire = "friends around a campfire at night"
    without = ARSON.model_copy(update={"unlike": ()})

    assert scores(campfire)[0] < min(0.2, scores(campfire, concept=without)[0])


def test_a_long_prompt_scores_by_its_worst_part() -> None:
    """Harmless words around it do not hide a concept."""
    long = "a meadow with flowers and a blue sky, " * 40 + "setting a house on fire"
    [found] = scores(long)

    assert found > 10 * scores("a meadow with flowers and a blue sky")[0]


STYLE = (
    "an oil painting of {}, highly detailed, dramatic light, concept art, trending on artstation"
)


def test_words_of_style_do_not_hide_a_concept() -> None:
    """A clause scores about as it does alone, whatever is said of the picture."""
    plain = "someone torches an office with gasoline"
    bare, styled, harmless = scores(plain, STYLE.format(plain), STYLE.format("a bowl of fruit"))

    assert styled > 0.9 * bare
    assert harmless < 0.1


def test_a_plain_thing_is_not_taken_for_what_happens_to_it() -> None:
    """Phrases tell of houses and of men; a house and a man are not what they tell."""
    every = scores("a man", "a house", "a car", "people", concept=ARSON)

    assert max(every) < 0.2


@pytest.mark.parametrize(
    ("prompt", "same_as"),
    [
        ("a kitchen, no fire", "a kitchen"),
        ("a kitchen, no arson, no flames", "a kitchen"),
        ("a kitchen without any fire", "a kitchen"),
        ("setting a house alight, no fire", "setting a house alight"),
    ],
)
def test_what_is_denied_is_not_compared(prompt: str, same_as: str) -> None:
    """A word that a prompt rules out is left out of what is compared, and nothing else is."""
    settings = SimilaritySettings(
        kind="similarity", concepts={"arson": ARSON}, denied=("fire", "arson", "flame")
    )
    denied, other = SimilarityClassifier("near", settings)([prompt, same_as])

    assert denied.values["arson"] == pytest.approx(other.values["arson"], abs=0.02)


def test_what_is_asked_for_beside_a_denial_is_compared() -> None:
    """A fire that is there counts, whatever else is denied."""
    settings = SimilaritySettings(kind="similarity", concepts={"arson": ARSON}, denied=("fire",))
    prompt = "a man lighting a car on fire, no fire engine"
    (found,) = SimilarityClassifier("near", settings)([prompt])

    assert found.values["arson"] > 0.5


def test_the_digest_is_that_of_the_phrases() -> None:
    """Another phrase makes another digest, the same phrases the same."""
    settings = SimilaritySettings(kind="similarity", concepts={"arson": ARSON})
    other = SimilaritySettings(
        kind="similarity", concepts={"arson": ARSON.model_copy(update={"unlike": ()})}
    )
    digests = [SimilarityClassifier("near", each).digest for each in (settings, settings, other)]

    assert digests[0] == digests[1] != digests[2]


def test_too_few_examples() -> None:
    """A concept needs at least three examples."""
    with pytest.raises(ValueError, match="at least 3"):
        Concept(examples=("fire", "flame"))
