"""Whom the fairness rules draw for where animals, things, countries and looks are named."""

import pytest
from packs import GENDER, TONE, drawn, loaded

from safegen import Policy


@pytest.fixture(scope="module")
def packs() -> dict[str, Policy]:
    """The packs that draw people."""
    return {name: loaded(name) for name in ("default", "fair-occupations")}


@pytest.mark.parametrize(
    "prompt",
    [
        "a cat dressed as a doctor",
        "a robot barista",
        "a Lego knight",
        "teddy bear surgeon",
        "an owl teacher in front of a blackboard",
        "a bear baker in an apron",
        "a monkey lawyer",
        "a raccoon thief",
        "an octopus pianist",
        "anthropomorphic wolf judge",
        "an alien scientist",
        "a frog violinist",
        "a koala programmer at a laptop",
        "a statue of a soldier",
        "a playmobil firefighter",
        "an action figure of a pilot",
        "logo of a running cook",
        "a bobblehead of a baseball player",
        "a ceramic figurine of a shepherd",
        "a crash test dummy driver",
        "a penguin flight attendant",
        "a cute hedgehog in a tiny coat, dressed up as a mail carrier",
        "a surgeon who is actually an android",
        "a cookie in the shape of a firefighter",
        "a robot working in a cafe as a barista",
        "a nurse knitted from wool",
        "a puppet of a chef",
        "a rubber duck dressed as a pirate",
        "a fluffy kitten dressed as a chef, kitchen background",
        "a squirrel who works as a mechanic",
        "a lion working as a hairdresser",
        "a female robot bartender",
        "a bronze sculpture of a runner",
        "a plushie nurse on a shelf",
        "a skeleton pianist",
        "the chef is a panda",
        "an otter journalist with a notepad",
        "a llama accountant",
        "three-legged dog as the mayor of a village",
        "a pug dressed up like a judge",
        "a raven librarian, watercolor",
        "a sloth, sleepy, dressed as a doctor",
        "an android receptionist",
        "a wooden marionette of a king's jester and a violinist puppet of a musician",
        "a snow sculpture of a skier",
        "a plush doctor on a bed",
        "a clay model, a bust of a poet",
        "a garden gnome dressed as a plumber",
        "an ostrich that works as a secretary",
        "a shark lawyer in a suit",
        "a funko pop astronaut",
        "a toy pilot in a toy plane",
        "a stuffed animal nurse",
        "a hedgehog chef flipping pancakes",
        "a logo of a barber",
        "a pictogram of a cyclist",
        "a figurine of a ballet dancer",
        "a goose dressed as a police officer",
        "a badger who is a blacksmith",
        "the waiter is a monkey",
        "a carpenter made of lego bricks",
        "an alien tourist in Paris",
        "a nurse emoji on a phone",
        "an owl professor, reading glasses",
        "the lion in the armchair works as an accountant",
        "a cow in a lab coat as a scientist",
        "a marble bust of a famous Roman senator",
        "a dinosaur barista with latte art",
        "a robotic surgeon arm",
        "a crocheted firefighter",
        "a mouse as a baker in a tiny kitchen",
    ],
)
def test_figures_at_work_are_left(pack: Policy, prompt: str) -> None:
    """An animal, a robot, a toy, a statue or an icon is nobody to be drawn."""
    assert drawn(pack, prompt) == set()


@pytest.mark.parametrize(
    "prompt",
    [
        "a doctor with a cat",
        "a farmer beside a horse",
        "a dog trainer",
        "a robot engineer in a lab",
        "a lego artist at work",
        "a sheep farmer in the hills",
        "a bee researcher in a field",
        "a crane driver in the cab",
        "an animal doctor",
        "a hot dog vendor",
        "a person dressed as a robot",
        "a scientist with a robot",
        "a cat on a table as a doctor examines it",
        "a person with a cat dressed as a doctor",
        "a teacher pointing at a skeleton",
        "an artist painting a statue of a soldier",
        "a puppeteer with a marionette",
        "a child's doll and a nurse",
        "a worker building a robot",
        "a dolphin trainer at the pool",
        "a police officer with a dog",
        "a cat person reading a book",
        "a toy store clerk",
        "a dentist in a room with a teddy bear",
        "a tattoo artist with a dragon tattoo",
        "a ballet dancer as a swan",
        "a doctor treating a horse",
        "a librarian behind a bust",
        "a museum guard near a marble statue",
        "an animator drawing a mouse",
        "a surgeon, robot arms beside the table",
        "a passenger with a parrot",
        "a customer at a robot cafe",
        "a goat herder at dawn",
        "a veterinarian with a kitten",
        "a farmer feeding a pig",
        "a nurse in front of a monument",
        "a scientist repairing a robot",
        "a goat farmer on a mountain",
        "a sled dog trainer in the snow",
        "an artist with a clay bust",
        "a programmer with a rubber duck on the desk",
        "a teacher reading to a teddy bear",
        "a surgeon operating a robot",
        "a person in a bear costume",
        "a firefighter rescuing a cat from a tree",
        "a shopkeeper with toys",
        "a jockey on a horse",
        "a butcher and a pig",
        "a fisherman's boat and a cook",
        "a photographer, eagle in the background",
        "a worker in a toy factory",
        "a museum guide next to a bronze statue",
        "a beekeeper with a bee on the sleeve",
        "a doctor wearing a duck mask",
        "a mechanic as good as a doctor",
        "a paramedic carrying a dog",
        "a horse trainer with a whip",
        "an activist holding a sign with a whale",
        "a judge petting a dog",
        "a cook with spices from India",
        "a dentist in front of a Croatian flag",
        "a courier with a parcel from Japan",
        "a designer with an ebony desk",
        "a nurse in a pale green corridor",
        "a porter with a suitcase from Italy",
        "a writer in a pale pink room",
        "an engineer talking about a bridge in China",
    ],
)
def test_somebody_beside_a_figure_or_a_thing_isdrawn(pack: Policy, prompt: str) -> None:
    """And so is who has to do with them."""
    assert drawn(pack, prompt) == {GENDER, TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "a doctor from Ghana",
        "a chef originally from Mexico",
        "a teacher of Nigerian origin",
        "an engineer who comes from India",
        "a farmer from West Africa",
        "a scientist who is from South Korea",
        "a Rwandan architect",
        "a Yoruba priest",
        "a Punjabi farmer",
        "a Quechua weaver",
        "a Fijian rugby player",
        "a Palestinian journalist",
        "a pale nurse",
        "a redheaded nurse with freckles",
        "an Uzbek tailor",
        "a photographer of Lebanese origin",
        "a carpenter named Kofi from Ghana",
        "a carpenter from Peru",
        "a nurse who came from the Philippines",
        "a Croatian waiter",
        "an Igbo doctor",
        "a barista of Moroccan origin",
        "a teacher born in Nepal",
        "a Navajo weaver",
        "a pale programmer at night",
        "a pilot with blond hair",
        "an architect, originally from Poland",
        "a Zimbabwean farmer",
        "a freckled mechanic",
    ],
)
def test_an_origin_or_a_look_that_is_named_is_kept(pack: Policy, prompt: str) -> None:
    """The gender alone is drawn where the prompt says where somebody is from, or how they look."""
    assert drawn(pack, prompt) == {GENDER}


@pytest.mark.parametrize(
    "prompt",
    [
        "a chef with cheese from France",
        "a mechanic with a car from Germany",
        "a barista with coffee from Ethiopia",
        "a tourist in Ghana",
        "a doctor beside a pale wall",
        "a pianist at an ebony piano",
        "a carpenter with blond wood",
        "a tourist in front of a map of India",
        "a sommelier with a bottle from Italy",
        "a librarian holding a book from Japan",
        "a chef carving slices from turkey",
        "a pilot flying to Kenya",
        "a teacher with a globe, a picture of Africa on the wall",
        "a painter mixing pale blue",
        "a brewer with a pale ale",
        "a farmer at dawn, pale light",
        "an architect in front of a Georgian house",
        "a gardener with a Roma tomato",
        "a potter with an Aztec pot",
        "a student learning Tamil",
        "a mechanic with spare parts from China",
        "a worker unloading bananas from Ecuador",
        "a midwife in a hospital corridor",
        "a barber with beard oil",
        "a vet with a bearded dragon",
        "a software tester at a desk",
        "a stockbroker on the phone",
        "a venture capitalist in an office",
        "a gamer with a headset",
        "a millionaire on a yacht",
        "a call centre agent",
        "a customer service representative",
    ],
)
def test_an_origin_of_a_thing_leaves_the_draw(pack: Policy, prompt: str) -> None:
    """Cheese from France says nothing of the cook; a midwife or a tester may be anybody."""
    assert drawn(pack, prompt) == {GENDER, TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "a midwife and her bag",
        "a nurse with a beard",
        "professor with a grey beard",
        "a clean-shaven waiter",
        "a bearded engineer",
        "a chef with a goatee",
        "a barista with a long beard and glasses",
        "a butcher with a goatee",
        "a lumberjack with a thick beard",
        "a nurse with a grey beard and glasses",
    ],
)
def test_a_beard_says_a_gender(pack: Policy, prompt: str) -> None:
    """The tone alone is drawn."""
    assert drawn(pack, prompt) == {TONE}


@pytest.mark.parametrize(
    "prompt",
    [
        "an engineer's drawing of a bridge",
        "an artist's painting of a lake",
        "runner bean plants",
        "customer service icon",
        "host plant with caterpillars",
        "waiter's friend corkscrew",
        "a doctor's rendering of a heart",
        "a lipstick tester on a shelf",
    ],
)
def test_what_is_called_after_people_is_left(pack: Policy, prompt: str) -> None:
    """Drawings, plants and icons are not people."""
    assert drawn(pack, prompt) == set()


@pytest.mark.parametrize(
    "prompt",
    [
        "a photo of a woman",
        "portrait of a man",
        "a grandmother",
        "a bride",
        "a man riding a bicycle",
        "a woman and her dog",
        "an old man on a bench",
        "a guy with headphones",
        "a widow in black",
        "a father carrying a ladder",
        "a man with his hat in his hand",
        "a male model",
        "a chairman in a boardroom",
        "a mum working from home",
        "a woman among trees",
        "a lady in a red dress",
        "a crazy cat lady",
        "a woman with a cat",
        "a man beside a statue",
        "close-up of a woman's face",
        "a woman in pale light",
        "an uncle at a barbecue",
    ],
)
def test_one_woman_or_man_has_a_drawn_tone_for_fairness(
    packs: dict[str, Policy], prompt: str
) -> None:
    """`default` leaves her or him as the model draws them."""
    assert drawn(packs["fair-occupations"], prompt) == {TONE}
    assert drawn(packs["default"], prompt) == set()


@pytest.mark.parametrize(
    "prompt",
    [
        "a man and a woman dancing",
        "a woman kissing a man",
        "a couple, a man on the left",
        "a family with a mother",
        "a Black woman coding",
        "a white man fixing a car",
        "a woman from Kenya",
        "a pale woman by the window",
        "a blonde lady at a bar",
        "a statue of a man",
        "a bust of a woman",
        "a robot woman",
        "a gingerbread man",
        "Wonder Woman as an icon",
        "Iron Man flying",
        "Lady Gaga on a stage",
        "Uncle Sam poster",
        "a woman's handbag on a chair",
        "a man's watch",
        "Mona Lisa, a woman smiling",
        "two women at a market",
        "men in suits",
        "a girl with a balloon",
        "a boy with a kite",
        "a cat licking his paw",
        "her cup of tea",
        "a man named Kofi",
        "a Japanese grandmother",
        "a woman with dark skin",
        "isle of man",
        "mother nature as a landscape",
        "a samurai man",
        "a redheaded woman",
        "a lion dressed as a man",
    ],
)
def test_couples_names_figures_and_named_tones_are_left(
    packs: dict[str, Policy], prompt: str
) -> None:
    """Where more than one is shown, or the prompt says who, nothing is drawn."""
    assert drawn(packs["fair-occupations"], prompt) == set()
