"""Kinds of words on which the reading of a negation turns: people, garments, what is no thing.

"No guns, knives" is a list, but "no adults, nude children" tells who is there after all.
"""

import re


def words_of(text: str) -> frozenset[str]:
    """The words of a line, to look them up."""
    return frozenset(text.split())


STOPS = r".;:!?|()\[\]\n"
"""Within a class of characters: the marks that end a clause in any reading."""
MARKS = f",{STOPS}"
"""Those that end a clause or an item: with the comma, behind which a clause may go on."""

_CHILD = (
    r"child(?:ren)?|\w*girls?|\w*boys?|\w*kids?|bab(?:y|ies)|infants?|newborns?|toddlers?|"
    r"\w*teens?|teenagers?|adolescents?|youths?|youngsters?|minors?|juveniles?|preschoolers?|"
    r"pupils?|\w*daughters?|\w*sons?"
)
_OF_AGE = r"under-?aged?|(?:years?|yrs?)[ -]olds?"
_SOMEBODY = (
    rf"{_CHILD}|\w*(?:wo)?m[ae]n|lad(?:y|ies)|guys?|lads?|lass(?:es|ies?)?|persons?|"
    r"students?|adults?|grown-?ups?|elders?|seniors?|\w*(?:mother|father|parent)s?|"
    r"mo?ums?|moms?|dads?|grandmas?|grandpas?|sisters?|brothers?|"
    r"wi(?:fe|ves)|husbands?|couples?|famil(?:y|ies)|friends?|lovers?|brides?|actors?|"
    r"actress(?:es)?|models?|dancers?|cheerleaders?|nurses?|teachers?|soldiers?|guards?|tourists?|"
    r"celebrit(?:y|ies)|prisoners?|victims?|princess(?:es)?|queens?|nuns?|maids?|females?|males?"
)
SOMEBODY = re.compile(rf"(?<!\w)(?:{_SOMEBODY})(?!\w)")
"""Whom a prompt may be about; not "people", for "naked people" may be what is ruled out."""
PEOPLE = re.compile(
    rf"(?:.*[ -])?(?:people|humans?|crowds?|audience|characters?|figures?|{_OF_AGE}|{_SOMEBODY})",
    re.DOTALL,
)
"""The whole of a term for people of any kind."""

# Who has none of it on is bare; "no bikinis" and "no lingerie" tell of the picture instead.
_WORN = (
    r"clothes|clothing|garments?|underwear|undies|underpants|panties|pants|bras?|bikini|thong|"
    r"swimsuit|swimwear|dress|shirts?|skirt|shorts|trousers|jeans|top|blouse|stockings|robe|towel"
)
WORN = re.compile(rf"(?:.*[ -])?(?:{_WORN})", re.DOTALL)
"""The whole of a term for what somebody has on."""
GARMENT = re.compile(rf"(?:.*[ -])?(?:{_WORN}|lingerie|bikinis|thongs|swimsuits)", re.DOTALL)
"""The whole of a term for garments."""

YOUNG = re.compile(rf"(?:.*[ -])?(?:{_CHILD}|{_OF_AGE})", re.DOTALL)
"""The whole of a term for who is, or may be, no adult."""
ANYBODY = re.compile(r"people|persons|humans?|crowds?|audience|characters?|figures?")
"""Whom a prompt leaves open, and so an item of a list like any other: "no text, people, cars"."""

CONTRACTED = (
    r"\w+n't|(?:do|does|did|is|are|was|were|has|have|had|would|should|could|must|ca|wo|ai)nt"
)
"""A verb with its "not", with the apostrophe or without."""

_BARE = r"nude|naked|topless|bottomless|undressed|unclothed|unclad|shirtless|bare"
_ALLURING = r"sexy|erotic|sensual|seductive|provocative|lewd"
BARE = re.compile(rf"(?:{_BARE})(?!\w)")
DESCRIBES = re.compile(rf"(?:{_BARE}|{_ALLURING})(?!\w)")
"""What is said of somebody, as "nude", and names no thing."""
NAKEDNESS = re.compile(
    rf"(?<!\w)(?:(?:{_BARE}|{_ALLURING})(?!\w)|(?:nud|naked|nsfw|porn|sex|explicit)\w*)"
)
"""After which "nude" is one more item of a list: "not nude, naked or topless"."""

NO_THING = re.compile(
    r"\s*(?:\w+\s+)?(?:censor\w*|filter\w*|limit\w*|restrict\w*|restraints?|rules|boundaries|taboos?|"
    r"inhibitions?|merc\w+|sham\w+|shy|shyness|ashamed|modesty|decency|escape|hope|survivors?|"
    r"remorse|regrets?|fears?|pity|compassion|doubts?|hesitation|consent|holds|worries|problems?|"
    rf"kidding|jokes?|secrets?|excuses?|pixel\w*|mosaic|{_WORN})(?:\s+\w+)?\s*"
)
"""The whole of an item that is no thing of a picture, or worn: what follows it is no item too."""

_HARMED = re.compile(
    r"(?<!\w)(?:dead|dying|blood\w*|wounded|injured|bleeding|murdered|killed|tortured|mutilated|"
    r"beheaded|decapitated|dismembered|armed)(?!\w)"
)


def is_described(item: str) -> bool:
    """Whether an item of a list says that somebody is naked or harmed."""
    return (NAKEDNESS.search(item) or _HARMED.search(item)) is not None


def is_plural(term: str) -> bool:
    """Whether a word for people is of several: "adults", "men"."""
    return re.search(r"(?:[^s]s|men|children|people)\Z", term) is not None


def is_people(item: str) -> bool:
    """Whether an item of a list is people as such, and not "naked people" or "dead people"."""
    return PEOPLE.fullmatch(item) is not None and not is_described(item)
