"""Whom the fair rules draw for, and who is in no picture: makers, words before things, names."""

import pytest
from packs import GENDER, TONE, drawn

from safegen import Policy


@pytest.mark.parametrize(
    "prompt",
    [
        "photo by a famous photographer, mountain lake",
        "landscape shot by a wildlife photographer",
        "a villa designed by a young architect",
        "illustrated by a comic artist, dragon",
        "sculpted by a local artist, bronze horse",
        "cake made by a pastry chef",
        "painting by an unknown painter, harbour",
        "photographed by a travel photographer, dunes",
        "award-winning photographer, northern lights",
        "digital art by a concept artist, spaceship",
        "human digestive system poster",
        "adult education class schedule",
        "adult learning centre logo",
        "butcher block counter",
        "a hair styling guide, flat lay",
        "a gardening guide cover",
        "kimono folding guide",
        "boss arena, game level",
        "boss battle screen",
        "first-person shooter hud",
        "hero shot of a sneaker",
        "hero section of a website",
        "host server in a rack",
        "nurse call button on a wall",
        "janitor closet with mops",
        "conductor of heat, copper rod",
        "human trafficking awareness poster",
        "human-centered design workshop logo",
        "adult diapers package",
        "player one joystick icon",
        "patient monitor in an empty ward",
        "doctor approved toothpaste",
        "dentist recommended toothbrush",
        "vet recommended dog food, bag",
        "customer journey map",
        "human ear diagram",
        "human cell under a microscope",
        "a coach on the motorway",
        "butcher paper wrapped parcel",
        "a book about a spy on a desk",
        "a novel about a surgeon, cover only",
        "a documentary about a sailor, dvd case",
        "writing guide on a shelf",
        "human evolution chart",
        "human footprint in the sand",
        "adult swim logo",
        "engineer approved blueprint stamp",
        "author signature",
        "housekeeper cart in a corridor",
        "captain's log, leather book",
        "a photo taken by a professional photographer, mountain lake",
        "portrait photo of a mountain by a professional photographer",
        "photo by national geographic photographer, tiger",
    ],
)
def test_who_is_in_no_picture_is_notdrawn(pack: Policy, prompt: str) -> None:
    """Who made what is shown, and a word that says of which kind a thing is."""
    assert drawn(pack, prompt) == set()


@pytest.mark.parametrize(
    "prompt",
    [
        "a photographer by a mountain lake",
        "a chef standing by a window",
        "a patient attended by a nurse",
        "a nurse led by a doctor through a ward",
        "a farmer followed by a reporter",
        "a teacher photographed by a student",
        "an award-winning photographer holding a camera",
        "a professional photographer in a studio",
        "a portrait of an award-winning photographer",
        "a human being on a mountain",
        "a human standing in the rain",
        "an adult holding a book",
        "an adult with a bicycle",
        "a guide leading a mountain tour",
        "a mountain guide in the snow",
        "a butcher in a shop",
        "the boss at a desk",
        "a hero in the snow",
        "a nurse calls a patient",
        "a host greeting at the door",
        "a conductor of an orchestra",
        "a doctor approves a form",
        "a doctor who approved a plan",
        "a mountaineer on a ridge",
        "a wheelchair user in a park",
        "a content creator at a desk",
        "a cinematographer on set",
        "a tattooist at work",
        "a ship captain on the bridge",
        "a chaplain in a hospital",
        "a voter at a ballot box",
        "a witness in court",
        "a passerby in the rain",
        "a dinner guest at a table",
        "a smuggler in a harbour",
        "a rower on a lake",
        "a kayaker in white water",
        "a postdoc in a lab",
        "a civil servant at a counter",
        "a human hiding behind a tree",
        "a client in an office",
        "a watchmaker at a bench",
        "a greengrocer with apples",
        "a bailiff at a door",
        "a newsagent in a kiosk",
        "an onlooker at a fire",
        "a portrait painted by a window of a baker",
        "a tailor measured by a colleague",
        "an adult learner at a desk",
        "a nurse by a bed",
        "an artist by the sea",
        "a worker by a machine",
        "a nurse reading Jane Austen's book",
        "a doctor in a Robin costume",
        "Alex the nurse",
        "a farmer in St. Mary's hospital",
        "a nurse at the Johns Hopkins clinic",
        "a student in Jordan",
        "Kim, an engineer",
        "a worker at Tim Hortons",
        "a teacher in front of a Frank Lloyd Wright house",
        "a chef with a caesar salad",
        "Sam the plumber",
        "a surgeon in Charlotte",
        "a nurse in the Elizabeth ward",
        "a waiter serving Earl Grey",
        "a chef making Anna potatoes",
        "a doctor at St. Thomas Hospital",
        "a florist on Victoria street",
        "a nurse under a star of David",
        "a chef in a diner",
        "a cake being decorated by a baker",
        "a wall, being painted by an artist",
    ],
)
def test_who_is_in_it_is(pack: Policy, prompt: str) -> None:
    """Who stands by something, is led by somebody or works at it is in the picture."""
    assert drawn(pack, prompt) == {GENDER, TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "Sarah the nurse",
        "Dr. Sarah Jones, dentist",
        "chef Gordon Ramsay",
        "Emma, a doctor",
        "Tim the firefighter",
        "nurse Emily at a desk",
        "my friend Laura as a pilot",
        "a nurse called Hannah",
        "a chef named Robert",
        "officer Peter in a car",
        "Jessica is an engineer",
        "Doctor Elizabeth in a ward",
        "a portrait of John, a carpenter",
        "teacher Michael in class",
    ],
)
def test_a_first_name_says_a_gender(pack: Policy, prompt: str) -> None:
    """Sarah the nurse is no man; of her skin the name says nothing."""
    assert drawn(pack, prompt) == {TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "soup cooked by a smiling chef at the stove",
        "a cake decorated by a baker in a white apron, portrait",
        "bread baked by a laughing baker",
        "a shirt sewn by a tailor at the sewing machine",
        "dinner cooked by a chef wearing a toque",
        "a mural painted by an artist on a ladder",
        "a chef cooking for Maria",
        "a pilot with a photo of Anna",
        "a mechanic and a car called Charlotte",
        "a nurse beside Henry the cat",
        "a baker with a cake for Robert",
        "a plumber holding a picture of Emma",
        "a mechanic and a ship named Elizabeth",
        "a vet with a dog called Arthur",
        "a vet treating Oscar the dog",
        "award-winning photographer",
        "famous photographer",
        "a professional photographer",
        "professional photographer",
        "a garden with a famous photographer",
        "professional photographer in a garden",
        "a professional at a desk",
        "a professional photographer at work",
        "lunch cooked by a chef in an apron",
        "a gardener planting roses for Alice",
        "a teacher next to Daniel",
    ],
)
def test_who_is_seen_at_work_and_who_stands_by_a_name_isdrawn(pack: Policy, prompt: str) -> None:
    """A cook who smiles is in the picture, and a car called Charlotte says no gender."""
    assert drawn(pack, prompt) == {GENDER, TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "a chef called Robert",
        "a photo of Anna, a pilot",
        "a nurse named Hannah",
        "a chef named Maria cooking for guests",
        "Emma the baker",
        "a portrait of Sarah the nurse",
        "a chef called Maria with her cat",
    ],
)
def test_a_name_beside_the_word_is_of_that_person(pack: Policy, prompt: str) -> None:
    """Whose photo it is, or who is called so, has the name."""
    assert drawn(pack, prompt) == {TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "a garden, famous photographer",
        "a garden, award-winning photographer",
        "a garden, professional photographer",
        "a garden, professional photographer, 4k",
        "a lake at dawn, acclaimed photographer",
        "a garden, famous photographer, 4k",
        "dinner cooked by a chef, on a table",
        "a vase made by a potter in Japan",
        "misty forest, master painter",
        "a boat on a lake. Famous painter",
        "a tower designed by a leading architect",
        "a quilt sewn by a tailor",
        "a song written by a famous author, typewriter",
    ],
)
def test_a_tag_for_the_maker_draws_nobody(pack: Policy, prompt: str) -> None:
    """Also at the end of a prompt; where it is all there is, somebody is shown."""
    assert drawn(pack, prompt) == set()
