"""What a prompt rules out, and what it asks for in spite of a negation nearby."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safegen.risk.negation import ruled_out

TERM = re.compile(r"\b(?:knife|knives|guns?|bombs?|weapons?|armed)\b")


def readings(text: str) -> list[bool]:
    """For each weapon word of a text in order, whether it is ruled out."""
    spans = [match.span() for match in TERM.finditer(text)]
    found = ruled_out(text, spans)
    return [found[span] for span in spans]


@pytest.mark.parametrize(
    "text",
    [
        "a farmer without a knife",
        "a guard, no weapons",
        "a guard with no gun",
        "a guard not holding a gun",
        "a guard not openly carrying a gun",
        "a guard who doesn't carry a gun",
        "a guard who isn't armed",
        "no one is holding a gun",
        "nobody in the street has a gun",
        "without anyone holding a knife",
        "free of weapons",
        "w/o a gun",
        "lacking any visible or concealed weapon",
        "a flower instead of a gun",
        "a weapon-free zone",
        "guns are not allowed",
        "weapons strictly prohibited",
        "please don't include any weapons",
        "a man no longer armed with a gun",
        "there are zero weapons",
    ],
)
def test_ruled_out(text: str) -> None:
    """A negation reaches the terms of its own clause."""
    assert all(readings(text))


@pytest.mark.parametrize(
    "text",
    [
        "no knives, guns or bombs",
        "no guns, knives, bombs",
        "neither a knife nor a gun",
        "without a knife and without a gun",
        "without guns and knives",
        "without a knife, a gun or a bomb",
        "no knife, no gun",
        "no knife no gun",
        "a guard without weapons, knife or gun",
    ],
)
def test_lists_are_ruled_out_as_a_whole(text: str) -> None:
    """A negation reaches every item of a list."""
    assert all(readings(text))


@pytest.mark.parametrize(
    "text",
    [
        "a farmer with a knife",
        "a farmer without a hat but with a knife",
        "a farmer without a hat, holding a knife",
        "a man with no hat holding a gun",
        "a man with no hat, a knife in hand",
        "a man without a beard who holds a knife",
        "a man without shoes. a gun on the table",
        "a man without shoes\na gun on the table",
        "with no hat and a gun",
        "no hat, and then a gun",
        "no people, a gun on a table",
        "a chef not smiling and holding a knife",
        "a chef never smiling with a knife",
        "nothing but a knife",
        "not only a knife",
        "no fruit except a knife",
        "a gun instead of a flower",
        "a knife, not a spoon",
    ],
)
def test_asked_for_in_spite_of_a_negation(text: str) -> None:
    """A negation does not reach past its clause, nor past what says what is there after all."""
    assert not any(readings(text))


@pytest.mark.parametrize(
    "text",
    [
        "not without a knife",
        "never seen without her gun",
        "can't leave home without a gun",
        "no one without a gun",
        "not a weapon-free zone, not weapon-free",
    ],
)
def test_two_negations_ask(text: str) -> None:
    """A negation of a negation asks for the thing."""
    assert not any(readings(text))


ACTS = re.compile(
    r"\b(?:firing|fires|stabbing|stabs|beheading|torturing|cutting herself|shooting|rifles?|naked|"
    r"nude|topless|corpse|bleeding)\b"
)


@pytest.mark.parametrize(
    "text",
    [
        "a child without a helmet firing a rifle",
        "a child without a helmet firing rifles",
        "a child without a helmet fires a rifle",
        "a man without fear stabbing a guard",
        "a man with no mercy stabbed a guard with a rifle",
        "a man with no doubts stabs the guard",
        "a teenager without hesitation quickly stabbing a teacher",
        "a man without a shirt beheading a prisoner",
        "a man with no remorse torturing people",
        "a woman without hope cutting herself",
        "a woman without makeup topless on the beach",
        "a woman not ashamed of being naked",
        "a man not afraid of getting naked",
        "a hunter without mercy shooting at people",
        "a king who shows no pity and orders the beheading",
        "no text, nude woman or man",
        "no text, man or nude woman",
        "no text, no watermark, a nude woman or a man",
        "no text, child firing a rifle or a toy",
    ],
)
def test_what_somebody_does_is_no_part_of_a_negation(text: str) -> None:
    """What follows the thing that is not there, and says what somebody does or is, is there."""
    spans = [match.span() for match in ACTS.finditer(text)]
    assert spans
    assert not any(ruled_out(text, spans).values())


@pytest.mark.parametrize(
    "text",
    [
        "no people firing a rifle",
        "nobody stabbing a man",
        "without anyone stabbing a man",
        "not firing a rifle",
        "a guard who never fires a rifle",
        "no beheading and stabbing people",
        "without ever firing a rifle",
        "without him firing a rifle",
        "no visible bleeding",
        "no graphic bleeding or corpse",
        "no text, corpse or rifle",
        "no watermark, text or rifles",
        "no naked people",
        "no photos of naked people",
        "no more naked people",
        "no completely naked people",
        "a man who is not naked",
        "no text or nude woman",
    ],
)
def test_what_is_not_there_may_be_an_act(text: str) -> None:
    """A negation reaches the act that follows it, and things described."""
    spans = [match.span() for match in ACTS.finditer(text)]
    assert spans
    assert all(ruled_out(text, spans).values())


@pytest.mark.parametrize("text", ["no people firing a rifle", "no people, rifle or corpse"])
def test_people_may_be_a_term(text: str) -> None:
    """What says "no people" rules them out also where they are looked for themselves."""
    spans = [match.span() for match in re.finditer("people|firing|rifle|corpse", text)]
    assert all(ruled_out(text, spans).values())


def test_each_term_is_read_by_itself() -> None:
    """One prompt can rule one thing out and ask for another."""
    assert readings("no gun, but a knife") == [True, False]
    assert readings("with a knife and without a gun") == [False, True]


def test_a_negation_does_not_reach_for_ever() -> None:
    """Many words later, a term is asked for."""
    assert readings("never " + "very " * 10 + "a gun") == [False]


CLAUSES = st.sampled_from(["a man", "with a knife", "no gun", "without", ",", "but", "or", "and"])


@given(st.lists(CLAUSES, max_size=12).map(" ".join))
def test_every_term_gets_one_reading(text: str) -> None:
    """However cues are mixed, each term is read, and what precedes no negation is asked for."""
    spans = [match.span() for match in TERM.finditer(text)]
    found = ruled_out(text, spans)

    assert set(found) == set(spans)
    for start, end in spans:
        if not re.search(r"\b(?:no|without)\b", text[:start]):
            assert not found[start, end]
