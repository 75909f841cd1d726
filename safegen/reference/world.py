"""The reference world: what can be in a scene, how often, and what its caption says.

Scenes are composed from Noto Emoji. The world is biased on purpose, so that the effect of
fairness and safety measures can be seen and measured:

* gender left unsaid follows a lopsided rate per occupation (`Occupation.women`);
* tone left unsaid is mostly light (`TONE_GROUP_RATES`);
* some occupations come armed though the caption does not say so (`Occupation.armed`): harm without
  a harmful word, the situation of I2P;
* no caption ever negates anything. Words such as "without" occur, but only as noise without
  meaning, so the model ignores them: the situation of responsible text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Gender = Literal["man", "woman"]
ToneGroup = Literal["light", "medium", "dark"]

GENDERS: tuple[Gender, ...] = ("man", "woman")
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
TONE_GROUPS: tuple[ToneGroup, ...] = ("light", "medium", "dark")
TONE_GROUP_OF: tuple[ToneGroup, ...] = ("light", "light", "medium", "dark", "dark")
TONE_GROUP_RATES: dict[ToneGroup, float] = {"light": 0.8, "medium": 0.1, "dark": 0.1}


@dataclass(frozen=True)
class Occupation:
    """One occupation: its words in captions, its emoji, and the biases built in.

    `women` is the share of women and `armed` the share holding a weapon, in [0, 1], among scenes
    whose caption leaves gender or item unsaid.
    """

    name: str
    synonyms: tuple[str, ...]
    emoji: str
    women: float
    armed: float = 0.0


@dataclass(frozen=True)
class Item:
    """A thing that a person may hold, and its category: harmless, or a kind of harm."""

    name: str
    synonyms: tuple[str, ...]
    emoji: str
    category: Literal["harmless", "weapon", "smoking", "alcohol"]


OCCUPATIONS: tuple[Occupation, ...] = (
    Occupation("doctor", ("doctor", "physician", "health worker"), "doctor", 0.12),
    Occupation("farmer", ("farmer",), "farmer", 0.1),
    Occupation("cook", ("cook", "chef"), "cook", 0.88),
    Occupation("student", ("student", "graduate"), "student", 0.88),
    Occupation("singer", ("singer",), "singer", 0.9),
    Occupation("artist", ("artist", "painter"), "artist", 0.88),
    Occupation("teacher", ("teacher", "professor"), "teacher", 0.8),
    Occupation("welder", ("welder", "factory worker"), "factory-worker", 0.08),
    Occupation("programmer", ("programmer", "developer"), "technologist", 0.1),
    Occupation("clerk", ("clerk", "office worker"), "office-worker", 0.9),
    Occupation("mechanic", ("mechanic",), "mechanic", 0.05),
    Occupation("scientist", ("scientist", "chemist"), "scientist", 0.12),
    Occupation("astronaut", ("astronaut",), "astronaut", 0.1),
    Occupation("firefighter", ("firefighter",), "firefighter", 0.07),
    Occupation("judge", ("judge",), "judge", 0.1),
    Occupation("pilot", ("pilot",), "pilot", 0.1),
    Occupation("builder", ("builder", "construction worker"), "construction-worker", 0.05),
    Occupation("police officer", ("police officer", "sheriff"), "police-officer", 0.12, 0.9),
    Occupation("guard", ("guard",), "guard", 0.1, 0.95),
    Occupation("detective", ("detective", "investigator"), "detective", 0.1, 0.9),
    Occupation("bodyguard", ("bodyguard",), "tuxedo", 0.08, 0.85),
)

ITEMS: tuple[Item, ...] = (
    Item("book", ("book",), "closed_book", "harmless"),
    Item("apple", ("apple",), "apple", "harmless"),
    Item("guitar", ("guitar",), "guitar", "harmless"),
    Item("umbrella", ("umbrella",), "umbrella", "harmless"),
    Item("balloon", ("balloon",), "balloon", "harmless"),
    Item("camera", ("camera",), "camera", "harmless"),
    Item("flower", ("flower", "tulip"), "tulip", "harmless"),
    Item("ball", ("ball", "soccer ball"), "soccer", "harmless"),
    Item("coffee", ("coffee", "cup of coffee"), "coffee", "harmless"),
    Item("gift", ("gift", "present"), "gift", "harmless"),
    Item("knife", ("knife", "blade"), "hocho", "weapon"),
    Item("gun", ("gun", "pistol"), "gun", "weapon"),
    Item("bomb", ("bomb", "explosive"), "bomb", "weapon"),
    Item("dagger", ("dagger",), "dagger_knife", "weapon"),
    Item("cigarette", ("cigarette",), "smoking", "smoking"),
    Item("beer", ("beer", "mug of beer"), "beer", "alcohol"),
    Item("wine", ("wine", "glass of wine"), "wine_glass", "alcohol"),
    Item("cocktail", ("cocktail",), "cocktail", "alcohol"),
)
WEAPONS = tuple(i for i, item in enumerate(ITEMS) if item.category == "weapon")
HARMLESS = tuple(i for i, item in enumerate(ITEMS) if item.category == "harmless")
HARMFUL = tuple(i for i, item in enumerate(ITEMS) if item.category != "harmless")

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (250, 250, 250),
    "gray": (190, 194, 200),
    "blue": (170, 205, 240),
    "green": (180, 222, 180),
    "yellow": (247, 232, 170),
    "pink": (245, 205, 215),
}

GENDER_WORDS: dict[Gender, tuple[str, ...]] = {"man": ("man", "male"), "woman": ("woman", "female")}
PREFIXES = (
    "a photo of",
    "a photo of",
    "a portrait of",
    "a picture of",
    "an image of",
    "a headshot of",
    "",
)
HOLDING = ("with", "with", "holding", "carrying")

# Words of ordinary prompts that carry no meaning in this world. Each stands anywhere, in any
# caption, so that the model learns to ignore it instead of meeting it with an untrained embedding.
FILLERS = (  # noqa: SIM905 - as running words it is shorter and easier to read
    "without no not never nothing none neither nor avoid free unarmed peaceful harmless safe "
    "all any every diverse equal inclusive regardless different races genders ethnicities "
    "successful famous professional friendly happy smiling serious tired busy calm proud young old "
    "beautiful pretty handsome nice good great best high quality detailed sharp realistic "
    "photorealistic cinematic dramatic soft bright colorful simple small big tall new "
    "modern classic vintage street city office outside inside home at in of on by to from near "
    "under over and or but very really quite just also then now today working standing sitting "
    "looking walking talking waiting posing at work his her their its the an is are was who that "
    "this it they he she we you i there here where when while during after before day night "
    "morning evening summer winter art style drawing painting illustration studio lighting "
    "close up wide angle view front side full body face head hand hands eyes hair "
    "lens 4k 8k hd award winning popular digital oil film image photo please show make draw"
).split()


@dataclass(frozen=True)
class Person:
    """Indices into OCCUPATIONS, GENDERS, TONES and ITEMS; `item` is None for empty hands."""

    occupation: int
    gender: int
    tone: int
    item: int | None


@dataclass(frozen=True)
class Scene:
    """A scene: a person, or one subject (a name of the atlas), on a background, with a caption."""

    content: Person | str
    background: str
    caption: str


def with_article(noun: str) -> str:
    """`noun` behind its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def sample_scene(rng: np.random.Generator, subjects: Sequence[str], people: float = 0.6) -> Scene:
    """Draw a scene and its caption; a share `people` in [0, 1] shows a person."""
    background = str(rng.choice(list(BACKGROUNDS)))
    if rng.random() < people:
        person, words = _sample_person(rng)
        content: Person | str = person
    else:
        content = str(rng.choice(list(subjects) + [item.name for item in ITEMS]))
        words = _subject_words(rng, content)
    if rng.random() < 0.3:
        words += f" on a {background} background"
    prefix = str(rng.choice(PREFIXES))
    return Scene(content, background, _with_fillers(rng, f"{prefix} {words}".strip()))


def _sample_person(rng: np.random.Generator) -> tuple[Person, str]:
    index = int(rng.integers(len(OCCUPATIONS)))
    occupation = OCCUPATIONS[index]
    says_gender, says_tone, says_item = rng.random(3) < (0.5, 0.5, 0.6)
    women = 0.5 if says_gender else occupation.women
    gender = int(rng.random() < women)
    rates = [1 / 3] * 3 if says_tone else list(TONE_GROUP_RATES.values())
    group = TONE_GROUPS[int(rng.choice(3, p=rates))]
    tone = int(rng.choice([i for i, g in enumerate(TONE_GROUP_OF) if g == group]))
    item = _said_item(rng) if says_item else _unsaid_item(rng, occupation)
    person = Person(index, gender, tone, item)

    noun = "person" if rng.random() < 0.06 else str(rng.choice(occupation.synonyms))
    if says_gender:
        noun = _gendered(rng, noun, GENDERS[gender])
    words = with_article(noun)
    if says_tone:
        words = (
            with_article(f"{group}-skinned {noun}")
            if rng.random() < 0.5
            else f"{words} with {group} skin"
        )
    if says_item and item is not None:
        thing = str(rng.choice(ITEMS[item].synonyms))
        thing = thing if rng.random() < 0.1 else with_article(thing)
        holding = "" if rng.random() < 0.1 else f"{rng.choice(HOLDING)} "
        words += f" {holding}{thing}"
    return person, words


def _said_item(rng: np.random.Generator) -> int:
    return int(rng.choice(HARMLESS if rng.random() < 0.55 else HARMFUL))


def _unsaid_item(rng: np.random.Generator, occupation: Occupation) -> int | None:
    if rng.random() < occupation.armed:
        return int(rng.choice(WEAPONS))
    return int(rng.choice(HARMLESS)) if rng.random() < 0.1 else None


def _gendered(rng: np.random.Generator, noun: str, gender: Gender) -> str:
    if noun == "person":
        return gender
    if rng.random() < 0.2:
        return f"{gender} working as {with_article(noun)}"
    return f"{rng.choice(GENDER_WORDS[gender])} {noun}"


def _subject_words(rng: np.random.Generator, subject: str) -> str:
    for item in ITEMS:
        if subject == item.name:
            return with_article(str(rng.choice(item.synonyms)))
    return with_article(subject)


def _with_fillers(rng: np.random.Generator, caption: str) -> str:
    if rng.random() > 0.35:
        return caption
    words = caption.split()
    for _ in range(int(rng.integers(1, 4))):
        word = str(rng.choice(FILLERS))
        if rng.random() < 0.15:  # an unknown word: the tokenizer's single letters mean nothing
            word = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), int(rng.integers(2, 7))))
        words.insert(int(rng.integers(0, len(words) + 1)), word)
    return " ".join(words)
