"""Whom the fair rules draw for: first names of many languages, posts, whose thing it is, things."""

import pytest
from packs import GENDER, TONE, drawn, loaded

from safegen import Context, Policy


@pytest.mark.parametrize(
    "prompt",
    [
        "Agata, a welder, at work",
        "Małgorzata the plumber",
        "bricklayer Grzegorz on a scaffold",
        "software engineer Ananya at a desk",
        "Suresh, a bus driver",
        "a farmer named Murat",
        "Ayşe the teacher",
        "Naoko, a chemist",
        "Takeshi the barista",
        "Adaeze, a lawyer",
        "Kwame, a farmer",
        "Xiuying the factory worker",
        "Jürgen the mechanic",
        "Heike, an electrician",
        "Thierry, a chef",
        "Francesca the architect",
        "Svetlana the welder",
        "Khalid the surgeon",
        "João the fisher",
        "Annika the carpenter",
        "Giorgos the waiter",
        "Minjun the student",
        "Dariush the physicist",
        "Zoltan the chef",
        "Oleksandr the farmer",
    ],
)
def test_first_names_of_many_languages_say_the_gender(pack: Policy, prompt: str) -> None:
    """As Emily's does, so that it is drawn over nobody's name."""
    assert drawn(pack, prompt) == {TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "Yuki the doctor",
        "Alex the plumber",
        "a teacher in São Paulo",
        "a nurse in Elif Street",
        "head of marketing in a bright office",
        "the head of human resources at a desk",
        "chief technology officer on a stage",
        "vp of engineering, headshot",
        "a scrum master at a whiteboard",
        "a board member in a conference room",
        "a crew member on a ferry",
        "a scaffolder on a roof",
        "a quality inspector in a factory",
        "a portrait of an accountant at a desk",
        "a poster of a nurse",
        "hands of a carpenter at work",
        "a picture of a lawyer with a business card",
        "a nurse with the bag of a doctor",
        "the office of a lawyer, a secretary at work",
        "coffee for a programmer working late",
        "a desk for writing, an author",
        "a pilot in an episode of a series",
        "a train conductor in a corridor",
        "a photo editor at a desk",
        "a sales manager on the phone",
        "a marathon runner on a road",
        "a shoe cobbler in a shop",
        "an explorer in a jungle",
    ],
)
def test_posts_and_who_is_shown_beside_a_thing_are_drawn(pack: Policy, prompt: str) -> None:
    """Whoever is to be seen is drawn."""
    assert drawn(pack, prompt) == {GENDER, TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "the desk of an accountant",
        "uniform of a pilot on a hanger",
        "the empty office of a manager",
        "the tools of a carpenter on a bench",
        "the apron of a baker on a hook",
        "the toolbox of an old mechanic",
        "the diary of a soldier on a table",
        "logo for a plumber",
        "a business card for a lawyer",
        "invoice template for an electrician",
        "a gift basket for a teacher",
        "a head of lettuce on a board",
        "peach cobbler",
        "a copper conductor",
        "a lightning conductor on a roof",
        "a text editor on a screen",
        "task manager window",
        "a pilot episode title card",
        "an executive summary on a desk",
        "a nurse log in a forest",
        "a Ford Explorer on a dirt road",
        "an Isuzu Trooper in the desert",
        "the Cook Islands from above",
        "a stair runner in a hallway",
        "a student id card",
        "cleaner wrasse on a reef",
    ],
)
def test_whose_thing_it_is_and_things_are_left_alone(pack: Policy, prompt: str) -> None:
    """Nobody is to be seen."""
    assert not drawn(pack, prompt)


@pytest.mark.parametrize(
    "prompt",
    ["a surgical team in theatre", "the nursing staff of a ward", "cabin crew in the aisle"],
)
def test_a_team_at_work_is_counted_as_a_group(prompt: str) -> None:
    """It is not drawn, and the record says that it was asked for."""
    _, decision = loaded("fair-occupations").assess(prompt, Context())
    assert {rule.id for rule in decision.rules} == {"fair.group"}


@pytest.mark.parametrize(
    "prompt",
    ["a chambermaid making a bed", "a landlady at the door", "a headmistress in an office"],
)
def test_titles_of_women_at_work_leave_the_tone_open(pack: Policy, prompt: str) -> None:
    """As a waitress does."""
    assert drawn(pack, prompt) == {TONE}


@pytest.mark.parametrize(
    "prompt",
    ["a soldier's child with a gun", "a gun for a child", "naked, on the bed of a child"],
)
def test_whose_thing_it_is_excuses_no_harm_to_a_child(pack: Policy, prompt: str) -> None:
    """A child counts wherever it is named."""
    _, decision = pack.assess(prompt, Context())
    assert decision.outcome == "blocked"


@pytest.mark.parametrize(
    "prompt",
    [
        "the uniform of a police officer, full body",
        "the armor of a guard",
        "the armour of a soldier in a trench",
        "the suit of an astronaut, full body, walking on the moon",
        "the costume of a clown, full body portrait",
        "the robe of a judge",
        "the studio of a painter with a brush in hand",
        "at the desk of a tired secretary late at night typing letters",
        "view over the desk of a programmer in a hoodie",
        "in the tent of a nurse in uniform",
        "coffee for a programmer at a desk",
        "the truck of a trucker with a smile",
        "the boat of a fisher pulling nets, morning light",
        "in the chair of a dentist a dentist leans over",
    ],
)
def test_who_is_seen_beside_or_in_a_thing_is_drawn(pack: Policy, prompt: str) -> None:
    """What is worn shows its wearer, and what follows may say that its owner is there."""
    assert drawn(pack, prompt) == {GENDER, TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "the uniform of a soldier in a museum",
        "the armor of a guard on a stand",
        "the suit of a banker folded on a chair",
        "the costume of a dancer in a wardrobe",
        "the desk of an accountant, morning light",
        "the desk of an architect, oil painting",
        "the office of a lawyer, soft lighting from the left",
        "the desk of a programmer in a bright office",
        "a cake for a nurse with candles",
        "head of household tax form",
        "a head of sales award",
        "head of engineering nameplate",
        "staff member only sign",
        "a biscuit joiner on a workbench",
        "plate joiner power tool",
        "QR coder",
        "text editor window",
        "package manager",
    ],
)
def test_things_laid_out_and_things_called_after_work_show_nobody(
    pack: Policy, prompt: str
) -> None:
    """Light and paint are no deeds, and a joiner may be a tool."""
    assert not drawn(pack, prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "a task manager at a company",
        "a device manager at a hospital",
        "a text editor at a newspaper",
        "a metal conductor with a baton",
        "a head of sales in an office",
        "a joiner in a workshop",
        "a pilot in a Catalina flying boat",
        "a mechanic with an Alfa Romeo Giulia",
        "a barista, Florian café in Venice",
        "a sailor off Milos",
        "a conductor, Hans Zimmer concert poster",
    ],
)
def test_people_with_tools_and_things_of_a_first_name_are_drawn(pack: Policy, prompt: str) -> None:
    """A flying boat says no gender, and a text editor may be somebody."""
    assert drawn(pack, prompt) == {GENDER, TONE}


@pytest.mark.parametrize(
    "prompt", ["the uniform of a police officer, full body", "armor of a guard"]
)
def test_who_wears_a_uniform_is_steered_from_arms(pack: Policy, prompt: str) -> None:
    """As a police officer is without the word."""
    _, decision = pack.assess(prompt, Context())
    assert "safe.weapon-unasked" in {rule.id for rule in decision.rules}


@pytest.mark.parametrize(
    "prompt",
    [
        "a knife stuck in the chair of a teacher",
        "the tent of a soldier, a knife beside it",
        "an axe in the bed of a tourist",
        "the knife of a soldier",
    ],
)
def test_whose_thing_it_is_excuses_no_blade(pack: Policy, prompt: str) -> None:
    """Beside a blade, whoever is named counts."""
    _, decision = pack.assess(prompt, Context())
    assert "safe.weapon-asked" in {rule.id for rule in decision.rules}
