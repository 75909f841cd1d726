"""Whether somebody made what is shown and is not in it: "photo by a photographer".

Who stands by a window or is led by somebody is in the picture; who made, designed or photographed
a thing is not. Neither is who is named as whose style or work it is: "in the style of Rembrandt".
Where the reading is open, somebody is there.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence

from safegen.risk.around import DETERMINERS, PARTS, following, preceding, words_in
from safegen.risk.kinds import PEOPLE, words_of
from safegen.risk.names import Names
from safegen.risk.normalize import Place

_QUALITIES = 5  # words between "by" and who did it: "by a famous national geographic photographer"
_MADE = words_of(
    "made designed painted illustrated written composed sculpted carved crafted styled baked "
    "knitted sewn woven sketched built invented created rendered photographed filmed drawn "
    "produced edited curated decorated tailored printed engraved embroidered arranged cooked "
    "handmade"
)
_OF_A_PICTURE = words_of("shot taken captured directed snapped")
# Who is named as whose work a picture is.
_MAKERS = words_of(
    "photographer artist painter illustrator designer architect sculptor engraver animator "
    "cinematographer filmmaker director cartoonist calligrapher ceramicist writer author poet "
    "novelist composer videographer printmaker"
)
# After these somebody stands by somebody, or is with somebody.
_IRREGULAR = words_of("led met seen held hit kept driven worn given lit run taught caught fed up")
_WORKS = words_of(
    "painting drawing etching engraving rendering building setting print prints photos"
)
_NO_PLACE = re.compile(r"\w+(?:ing|ed|[^s]s)")
_QUALITY = (
    r"award[ -]?winning|prize[ -]?winning|world[ -]?class|renowned|acclaimed|national geographic"
)
_TAG = re.compile(
    rf"(?:(?:\A|[,.;|(]\s*)(?:{_QUALITY})|[,.;|(]\s*(?:professional|famous|master))"
    rf"(?:\s+(?:{_QUALITY}|professional|famous|\w+))?\s+\Z"
)
_TAG_ENDS = re.compile(r"\s*(?:[,.;|):]|\Z)")
# Who made a thing and is seen all the same: "soup cooked by a smiling chef at the stove".
_LOOKS = words_of(
    "smiling laughing grinning frowning crying winking sweating sweaty cheerful bearded blushing"
)
_IS_SEEN = re.compile(
    r"\s+(?:(?:in (?:an?|his|her|their)|at (?:an?|the|his|her|their)|on an?|with (?:an?|his|her)|"
    r"who is|wearing|holding|smiling|laughing|standing|sitting|kneeling)(?!\w))"
)
_TAG_BEFORE = 60  # characters before a word in which its tag begins

_NAME = r"[^\W\d_]+"
_CREDIT = re.compile(
    r"(?<!\w)(?:(?:styles?|aesthetics?|technique|palette|cinematography|influences?|"
    r"in (?:the )?(?:manner|spirit|vein|tradition)) of|a la|ala) (?:the )?\Z"
)
# Of whom there is one of these may be shown as well: "a tribute to Rosa Parks, activist on a bus".
_TRIBUTE = re.compile(
    r"(?:(?<!\w)(?:works?|oeuvre|art|artwork|photography|reminiscent|evocative) of|"
    r"(?<!\w)(?:homage|tribute|nod|ode) to|(?<!\w)channell?ing|"
    r"(?:\A|[,;|(]\s*|(?<!\w)(?:painting|paintings|painted|drawing|drawn|print|engraving) )after)"
    r" (?:the )?\Z"
)
# What may stand between a name and a word for people that says who that is.
_WHO_IS = re.compile(
    rf"(?: {_NAME}){{0,2}}?(?:\s*,\s*(?:as )?| as )(?:an? |the )?(?:{_NAME} ){{0,2}}"
)
# What is there by somebody who is named: "flowers by Monet", but not "a nurse led by Rosa Parks".
_IS_BY = (
    _MADE
    | _OF_A_PICTURE
    | _WORKS
    | words_of(
        "inspired influenced art artwork artworks works style styles styled illustration "
        "illustrations photography photographs films movies etchings sketches watercolors "
        "watercolours prints"
    )
)
_CREDIT_BEFORE = 40  # characters before a name in which such words begin
_LAST_WORD = re.compile(rf"(?<!\w)({_NAME})[ \-'.]{{0,3}}\Z")
_ITEMS = 8  # names before one in a list: "by Syd Mead, Craig Mullins and John Harris"
_WORDS = 3  # of a name
_JOINT = 8  # characters that part two such names
_ITEM_BEFORE = re.compile(r"(?:\s*(?:,|&|\+|/)\s*(?:and )?| and )\Z")
_ITEM_ENDS = re.compile(rf"(?P<more>(?: {_NAME}){{0,3}}?)\s*(?:[,.;|)&+/]|\Z|and(?!\w))")
_STYLE = (
    r"styles?|styled|styli[sz]ed|aesthetics?|vibes?|lighting|light|cinematography|inspired|esque|"
    r"brushwork|brushstrokes|palette|technique"
)
_WORK = (
    r"illustrations?|watercolou?rs?|sketch|etchings?|engravings?|prints?|photographs?|photography|"
    r"films?|movies?|(?:paintings?|drawings?)(?=\s*(?:[,.;|)]|\Z))"
)
# "Picasso style", "Tim Burton's style"; of a work one word is too little, for "Emily illustration"
# may show Emily.
_BEHIND = re.compile(
    rf"(?P<more>(?: {_NAME}){{0,2}}?)(?:'s?)?[ -](?:(?:{_STYLE})|(?P<work>{_WORK}))(?!\w)"
)
_BEFORE_A_STYLE = re.compile(r"(?:\A|[,.;:|(\n]\s*|(?<!\w)(?:in|with|of|an?|the) )\Z")


def is_maker(text: str, place: Place, people: Sequence[Place]) -> bool:
    """Whether a word for people that stands there says who made what is shown.

    Args:
        text: a view of a prompt.
        place: where [start, end) the word stands.
        people: where terms stand that name people, in order.
    """
    start, end = place
    (next_word,) = next(following(text, end, 1), ("",))
    named = words_in(text, place)[-1]
    maker = named in _MAKERS or next_word in _MAKERS
    last, ends = text.rindex(named, start, end), end
    if next_word in _MAKERS:  # "a professional photographer"
        last = text.index(next_word, end)
        ends = last + len(next_word)
    tag = _TAG_ENDS.match(text, ends) if maker else None
    if tag:
        opened = _TAG.search(text, max(0, last - _TAG_BEFORE), last)
        alone = opened is not None and not opened.start() and tag.end() == len(text)
        if opened and not alone:
            return True  # "award-winning photographer, mountain lake"
    at = _by(text, start)
    if at is None:
        return False
    *_, before = [("",), *preceding(text, at, 2)]
    word = before[-1]
    if word in _MADE:
        seen = not _LOOKS.isdisjoint(words_in(text, (at, end))) or _IS_SEEN.match(text, end)
        return before[0] != "being" and not seen
    if not maker:
        return False
    if any(ends <= at and not text[ends:at].strip() for _, ends in people):
        return False  # "a nurse by a painter"
    somebody = PEOPLE.fullmatch(word) is not None or word in _IRREGULAR
    return word in _OF_A_PICTURE or word in _WORKS or not (somebody or _NO_PLACE.fullmatch(word))


def _by(text: str, start: int) -> int | None:
    """Where the "by" stands that somebody follows, described or not."""
    for _ in range(_QUALITIES + 2):
        last = next(preceding(text, start, 1), ("",))[0]
        if not last or (last in PARTS and last not in DETERMINERS and last != "by"):
            return None
        start = text.rindex(last, 0, start)
        if last == "by":
            return start
    return None


def is_credit(text: str, place: Place, people: Sequence[Place], names: Names) -> bool:
    """Whether a name that stands there says whose style or work it is.

    Args:
        text: a view of a prompt.
        place: where [start, end) the name stands.
        people: where terms stand that name people, in order.
        names: what the capitals of the prompt say.
    """
    start, end = place
    if _is_item_credited(text, start, people, end)[0] or _has_style(text, place, people, names):
        return True
    item = _ITEM_ENDS.match(text, end)
    more = item["more"].split() if item else []
    if item is None or len(more) >= _WORDS or not PARTS.isdisjoint(more):
        return False
    if _is_of_one(people, start, item.end("more")):
        return False
    for _ in range(_ITEMS):  # "by Alphonse Mucha and Norman Rockwell"
        joint = _ITEM_BEFORE.search(text, max(0, start - _JOINT), start)
        if joint is None or ("," in joint[0] and not more and " " not in text[slice(*place)]):
            return False
        credited, start = _is_item_credited(text, joint.start(), people, end)
        if credited or start == joint.start():
            return credited
    return False


def _is_item_credited(
    text: str, end: int, people: Sequence[Place], last_end: int
) -> tuple[bool, int]:
    """Whether some words before a place go on with a name that is credited, and where they start.

    "Leonardo" in "by Leonardo da Vinci", where da Vinci is a name too. The last name ends at
    `last_end`.
    """
    start = end
    if _is_credited(text, start, people, last_end):
        return True, start
    for _ in range(_WORDS):
        last = _LAST_WORD.search(text, max(0, start - _CREDIT_BEFORE), start)
        if last is None or last[1] in PARTS:
            break
        start = last.start()
        if _is_of_one(people, start, end):
            return False, end
        if _is_credited(text, start, people, last_end):
            return True, start
    return False, start


def _is_credited(text: str, start: int, people: Sequence[Place], end: int) -> bool:
    """Whether what is before a place names somebody's style or work: "painted by"."""
    *_, who = [("",), *preceding(text, start, 2)]
    if who[-1] in _MAKERS:  # "by the artist Greg Rutkowski"
        start = text.rindex(who[-1], 0, start)
        if next(preceding(text, start, 1), ("",))[0] in DETERMINERS:
            start = text.rindex(who[0], 0, start)
    if _CREDIT.search(text, max(0, start - _CREDIT_BEFORE), start):
        return True
    if tribute := _TRIBUTE.search(text, max(0, start - _CREDIT_BEFORE), start):
        return _is_only_honoured(text, (tribute.start(), end), people)
    *_, before = [("",), *preceding(text, start, 2)]
    if before[-1] != "by":
        return False
    word = before[0] if len(before) == 2 else ""
    return word in _IS_BY or (word not in _IRREGULAR and not _NO_PLACE.fullmatch(word))


def _is_only_honoured(text: str, tribute: Place, people: Sequence[Place]) -> bool:
    """Whether somebody else is shown, before a tribute, and nobody is who is named in it."""
    start, end = tribute
    if not people or people[0][1] > start:
        return False
    after = bisect_left(people, (end,))
    return after == len(people) or not _WHO_IS.fullmatch(text, end, people[after][0])


def _has_style(text: str, place: Place, people: Sequence[Place], names: Names) -> bool:
    """Whether a name has a style or a work behind it: "Rembrandt lighting", "Tim Burton film"."""
    start, end = place
    style = _BEHIND.match(text, end)
    if style is None:
        return False
    last = _LAST_WORD.search(text, max(0, start - _CREDIT_BEFORE), start)
    if last and last[1] not in PARTS and not _is_of_one(people, last.start(), start):
        start = last.start()  # "Picasso" in "Pablo Picasso's style"
    if not _BEFORE_A_STYLE.search(text, max(0, start - 6), start):
        return False
    more = style["more"].split()
    at = end
    for word in more:
        at = text.index(word, at)
        if word in PARTS or not names.may_be_surname(at, at + len(word)):
            return False
    return bool(more) or style["work"] is None


def _is_of_one(people: Sequence[Place], start: int, end: int) -> bool:
    """Whether a word for people stands between two places."""
    at = bisect_left(people, (start,))
    return at < len(people) and people[at][0] < end
