"""Whether somebody made what is shown and is not in it: "photo by a photographer".

Who stands by a window or is led by somebody is in the picture; who made, designed or photographed
a thing is not. Where the reading is open, somebody is there.
"""

import re
from collections.abc import Sequence

from safegen.risk.around import DETERMINERS, PARTS, following, preceding, words_in, words_of
from safegen.risk.kinds import PEOPLE
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
