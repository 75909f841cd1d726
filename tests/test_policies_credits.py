"""Whom the fair rules draw for where artists are named: whose style it is, is not who is shown."""

import pytest
from packs import GENDER, TONE, drawn

from safegen import Policy


@pytest.mark.parametrize(
    "prompt",
    [
        "a nurse, in the style of Greg Rutkowski",
        "a carpenter in a workshop, in the style of Henry Moore",
        "portrait of a librarian in the manner of John Constable",
        "a farmer in the spirit of Grant Wood",
        "a fishmonger at the market, art by Sarah Andersen and Bill Watterson",
        "a nurse, by Syd Mead, Craig Mullins and John Harris",
        "a sailor, artwork by Moebius, Katsuhiro Otomo and Sarah Andersen",
        "a vet, concept art by Anna Podedworna & Greg Manchess",
        "a chemist, inspired by Edward Hopper and David Hockney",
        "a nurse, photographed by Annie Leibovitz and Steve McCurry",
        "a nurse, by the artist Julia Margaret Cameron",
        "a teacher in the style of the painter Andrew Wyeth",
        "a dentist, by Frida Kahlo",
        "a courier, (by Claude Monet:1.2)",
        "a judge, painted by Leonardo da Vinci",
        "a chef in the style of Van Gogh and Paul Gauguin",
        "a botanist, homage to Georgia O'Keeffe",
        "a professor, à la Tim Burton",
        "a surgeon, after Thomas Eakins",
        "a ballet teacher, drawing after Edgar Degas",
        "a baker in the morning, Rembrandt lighting",
        "a farmer, Pablo Picasso's style",
        "a tailor, Peter Doig style",
        "a lifeguard on the beach, Martin Parr aesthetic",
        "a plumber, Mary Blair illustration",
        "a nurse, Thomas Kinkade painting",
        "a miner in a Peter Jackson movie",
    ],
)
def test_who_is_named_for_the_style_says_no_gender(pack: Policy, prompt: str) -> None:
    """Gender and tone are drawn as without the artist."""
    assert drawn(pack, prompt) == {GENDER, TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "Sarah the nurse, oil painting",
        "a chef called Robert, illustration",
        "a photo of Emily, a firefighter, by Annie Leibovitz",
        "Laura, a welder, photo by Steve McCurry, Annie Leibovitz",
        "nurse Emily illustration, flat design",
        "firefighter Anna Kowalska illustration",
        "nurse emily, anime style",
        "Emily anime style, a nurse",
        "a doctor named Karen, in the style of Norman Rockwell",
        "a nurse named Sarah Lopez",
        "a painter, Sarah, painting by the sea",
        "portrait of Julia, architect, style of Vermeer",
        "Maria Lopez, surgeon, portrait, style of Vermeer",
        "a portrait by the window of Julia, a lawyer",
        "a scientist with the spirit of Marie",
        "a doctor looks after Emily",
        "a chef and Thomas painting a wall",
        "a barista called Emily Carter, watercolor",
    ],
)
def test_who_is_named_and_shown_says_the_gender(pack: Policy, prompt: str) -> None:
    """A style beside a name takes nothing from it."""
    assert drawn(pack, prompt) == {TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "Rembrandt at his easel as a painter",
        "Albert Einstein as a bus driver, cartoon style",
        "a chemist, Marie Curie, in the style of Rembrandt",
        "Picasso portrait, a painter in a studio",
        "Rosa Parks illustration, a bus driver",
        "a pilot standing by Amelia Earhart",
        "a nurse led by Florence Nightingale",
        "Einstein poster, a professor",
        "Judge Dredd comic cover",
        "Professor Layton with a puzzle",
    ],
)
def test_a_real_person_who_is_shown_is_left_as_is(pack: Policy, prompt: str) -> None:
    """Neither gender nor tone is drawn over who is shown."""
    assert not drawn(pack, prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "a tribute to Serena Williams as a tennis player",
        "homage to Rosalind Franklin, chemist in a lab",
        "tribute to Rosa Parks, activist on a bus",
        "the work of Florence Nightingale, nurse at a bedside",
        "channeling Elvis Presley, singer on a stage",
        "channelling Muhammad Ali, boxer in the ring",
        "evocative of Barack Obama, a politician at a lectern",
        "reminiscent of Neil Armstrong, an astronaut",
        "a nod to Katherine Johnson, mathematician",
        "tribute to Nikola Tesla, the inventor, in his lab",
        "homage to Helen Keller, a famous writer",
    ],
)
def test_a_real_person_who_is_honoured_is_left_as_is(pack: Policy, prompt: str) -> None:
    """A tribute may show its hero, above all where a word says who that was."""
    assert not drawn(pack, prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "photography of Emma, a nurse at work",
        "art of Maria, the dancer",
        "drawing after Emma, a nurse",
        "works of Sarah, a sculptor",
    ],
)
def test_a_first_name_with_an_occupation_behind_it_is_no_credit(pack: Policy, prompt: str) -> None:
    """Though work of theirs is named, they are who is shown."""
    assert drawn(pack, prompt) == {TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "a dancer, tribute to Edgar Degas",
        "a miner, ode to Vincent van Gogh",
        "an engineer, homage to Norman Rockwell and Edward Hopper",
        "a baker, evocative of Johannes Vermeer, a lantern on the table",
        "a nurse channeling Frida Kahlo",
        "in the style of Claude Monet, a nurse",
    ],
)
def test_a_tribute_beside_who_is_shown_is_a_style(pack: Policy, prompt: str) -> None:
    """Who stands before it is drawn as without it."""
    assert drawn(pack, prompt) == {GENDER, TONE}
