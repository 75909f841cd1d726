"""What stands around a term, by which it is not about a person.

"A nurse shark" is no nurse and "the doctor's coat" shows no doctor; Tim Cook is not at work as one;
and "a mechanic repairing a German car" does not say where the mechanic is from. Where the reading
is open, a term counts.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from safegen.risk.kinds import MARKS, words_of
from safegen.risk.names import Names
from safegen.risk.normalize import SPACED, WORD, Place

Words = tuple[str, ...]

_NEXT = re.compile(rf"[ \-_']{{1,3}}({SPACED})")
_LAST = re.compile(rf"({SPACED})[ \-_'.]{{1,3}}\Z")
_SPACED = re.compile(SPACED)
_POSSESSIVE = re.compile(r"'s(?!\w)|(?<=s)'(?= )")
_ENDS = re.compile(f"[{MARKS}]")
SENTENCE_ENDS = re.compile(r"[.!?;|\n](?!\w)")
_CLAUSE = 200  # characters to each side of a term in which its clause is read
_PHRASE = 6  # words after a term in which its noun phrase ends
_QUALITIES = 4  # words that may say how somebody is: "a bust of an old, very famous philosopher"


DETERMINERS = words_of("a an the his her their its some")
# What ends a noun phrase, beside a mark and a word in -ing.
PARTS = words_of(
    "a an the this that these those his her its their my your our some any each every no not and "
    "or nor but in on at of to for from by with without as into onto over under near inside "
    "outside behind beside between among around through during before after above below upon off "
    "out up down past like than then so while when where because who whom whose which what is are "
    "was were be been being am has have had having do does did can could will would may might "
    "must it he she they we i you him them me us s t next across against along toward towards via "
    "per one two three four five six seven eight nine ten very also too just only"
)
# What shows the one whose it is.
_SHOWN = words_of(
    "hand hands arm arms face faces head eye eyes hair beard smile skin body bodies back shoulder "
    "shoulders neck throat chest belly stomach waist wrist wrists knee knees nose ear ears mouth "
    "forehead jaw cheek cheeks torso breast breasts lap finger fingers leg legs foot feet lips "
    "silhouette portrait headshot photo portraits likeness"
)
# Of whom one of these is, is to be seen: "a poster of a nurse".
_SHOWING = words_of(
    "poster posters banner billboard mural sticker stickers stamp stamps plaque coin medal badge "
    "statue statuette bust doll figurine puppet plushie mannequin dummy miniature toy lego robot "
    "monument memorial clipart logo icon symbol emblem sign mask album calendar canvas page book "
    "magazine newspaper card screen diagram quote game pack ring squad crew troupe"
)
_IS_SEEN = re.compile(r" (?:\w+ing|who|that|is)(?!\w)")  # "coffee for a programmer working late"
# What somebody wears whom no stand, hanger or museum bears it for.
_WORN = words_of("uniform uniforms armor armour suit suits costume costumes robe robes")
_LAID = re.compile(
    r",? (?:(?:hanging|folded|laid|draped|displayed) |(?:on|in|over) (?:an?|the|his|her) (?:\w+ )?"
    r"(?:hanger|hook|rack|stand|mannequin|chair|bed|floor|table|wall|line|door|museum|closet|"
    r"wardrobe|display|case|shop|box)(?!\w))"
)
# What says later in the sentence that somebody is seen; a morning and a lighting are no deeds.
_CLOTHED = (
    r"(?:uniform|hoodie|coat|hat|suit|dress|jacket|scrubs|apron|robe|shirt|helmet|gown|overalls|"
    r"black|hair|beard|smile|hands?)"
)
_AT_WORK = (
    r"(?:desk|table|window|bench|easel|stove|counter|controls|door|wheel|computer|blackboard|"
    r"lectern)"
)
_NO_DEED = r"(?:morn|even|light|paint|draw|render|engrav|build|wedd|ly|hang|rest|lean|show)ing"
_SEEN_LATER = re.compile(
    rf"(?<!\w)(?:(?:in|with|wearing) (?:\w+ ){{0,3}}{_CLOTHED}|(?:full|half)[ -](?:body|length)|"
    rf"portrait|headshot|at (?:work|(?:an?|the|his|her|their) (?:\w+ )?{_AT_WORK})|"
    rf"(?!{_NO_DEED})[^\W_]{{2,}}ing (?!of )\w+)(?!\w)"
)
# Beside these somebody counts, whose thing ever it is: "a knife stuck in the chair of a teacher".
_BLADE = re.compile(
    r"(?<!\w)(?:knife|knives|blades?|cleavers?|axe?s?|hatchets?|(?:pick|battle)axes?|scythes?|"
    r"sickles?|box cutters?|chain ?saws?|razors?|ice picks?|meat hooks?|broken bottles?|"
    r"pocketkni(?:fe|ves)|🔪s?)(?!\w)"
)
_A_THING = re.compile(r"(?<!\w)an?(?: \w+){1,3} \Z")
_DETERMINED = re.compile(r"of (?:an?|the|his|her|their|some|that|this|my|our|your)(?!\w)")
# What is of somebody, or is somebody whom no list of people knows.
_OF_SOMEBODY = _SHOWN | words_of(
    "descent heritage ancestry origin origins roots ethnicity nationality background features "
    "looks accent appearance complexion tone native national clothes clothing dress dresses "
    "attire outfit garb robe robes sari kimono hijab uniform model models figure character "
    "protagonist idol impersonator lookalike cosplayer hacker child children kid kids baby babies "
    "toddler teen teens teenager woman women man men girl girls boy boys guy lady person people "
    "couple family crowd tribe community descendant male female looking"
)
# A word in -ing before one of these says what it is for: a waiting room, a cutting board.
_FOR_USE = re.compile(
    r"[ -](?:room|hall|building|area|theatre|theater|table|desk|board|chair|machine|lot|pool|gown|"
    r"dress|suit|boots|shoes|bag|kit|manual|school|studio|stick|knife|glass)s?(?!\w)"
)
_THINGS_IN_ING = words_of("building clothing ceiling ring earring wing string")
# A word in -ing before "of" is a thing as well, a drawing of a bridge, but for these.
_OF = re.compile(r"[ -]of(?!\w)")
_DONE_OF = words_of("dreaming thinking smelling speaking talking dying tiring boasting")
_SOMEBODY = re.compile(r"\w+(?:ists?|ians?|m[ae]n|woman|women|persons?|people)")
# A language is learnt and spoken.
_LANGUAGE = words_of(
    "learn learns learning speak speaks speaking read reads reading write writes writing teach "
    "teaches teaching study studies studying practice practicing practising translate translating "
    "into"
)

# What may stand between somebody and "from Ghana".
_CALLED = words_of("named called")
_COMING = _CALLED | words_of(
    "who that is was are were he she they comes came coming come hails hailing originally "
    "born raised and years old living smiling"
)


@dataclass(frozen=True)
class Surroundings:
    """What a list says of the words around its terms."""

    people: bool = False
    names: bool = False
    before: Collection[Words] = ()
    after: Collection[Words] = ()
    of_people: Collection[Words] = ()
    plurals: Collection[Words] = ()
    figures: Collection[Words] = ()
    handlers: Collection[Words] = ()
    longest: tuple[int, int] = field(init=False)  # of what stands after a term, and before one
    longest_figure: int = field(init=False)

    def __post_init__(self) -> None:
        """Know how far to look."""
        sides = (max(map(len, side), default=0) for side in (self.before, self.after))
        object.__setattr__(self, "longest", tuple(sides))
        object.__setattr__(self, "longest_figure", max(map(len, self.figures), default=0))

    @cached_property
    def any(self) -> bool:
        """Whether anything around a term matters."""
        return (
            self.people
            or self.names
            or bool(self.before or self.after or self.of_people or self.figures)
        )


def is_single(text: str, place: Place, around: Surroundings) -> bool:
    """Whether a term stands there in the singular."""
    return words_in(text, place) not in around.plurals


def is_beside(
    text: str, place: Place, around: Surroundings, people: Sequence[Place], names: Names
) -> bool:
    """Whether what stands around a term makes it mean something else.

    Args:
        text: a view of a prompt.
        place: where [start, end) the term stands.
        around: what its list says.
        people: where terms stand that name people, in order.
        names: what the capitals of the prompt say.
    """
    start, end = place
    if around.people and (
        _is_owner(text, end) or _is_whose(text, place, around) or names.is_surname(start, end)
    ):
        return True
    if meets(following(text, end, around.longest[0]), around.before):
        return not (around.people and acts(text, place))
    if meets(preceding(text, start, around.longest[1]), around.after):
        return True
    return words_in(text, place) in around.of_people and _is_said_of_a_thing(text, place, people)


def words_in(text: str, place: Place) -> Words:
    """The words that stand at a place, as a list knows them."""
    return tuple(WORD.findall(text[slice(*place)]))


def meets(words: Iterator[Words], wanted: Collection[Words]) -> bool:
    """Whether one of the phrases is wanted."""
    return any(each in wanted for each in words)


def following(text: str, end: int, most: int) -> Iterator[Words]:
    """The first word after a place, then the first two, and so on."""
    found: Words = ()
    while len(found) < most and (match := _NEXT.match(text, end)):
        found, end = (*found, match[1]), match.end()
        yield found


def preceding(text: str, start: int, most: int) -> Iterator[Words]:
    """The last word before a place, then the last two, and so on."""
    found: Words = ()
    while len(found) < most and (match := _LAST.search(text, max(0, start - 40), start)):
        found, start = (match[1], *found), match.start()
        yield found


def acts(text: str, place: Place) -> bool:
    """Whether what looks like a plural is what one person does: "a chef plates a dish"."""
    start, end = place
    *_, two = [(), *following(text, end, 2)]
    if not two or not two[0].endswith("s") or two[0].endswith("ss"):
        return False
    alone = any(words[0] in ("a", "an") for words in preceding(text, start, 2))
    return alone or (len(two) == 2 and two[1] in DETERMINERS)


def _is_owner(text: str, end: int) -> bool:
    """Whether a person is there only as whose something is: a coat, and not a hand."""
    owner = _POSSESSIVE.match(text, end)
    if owner is None:
        return False
    owned, _ = noun_phrase(text, owner.end())
    return bool(owned) and owned[-1] not in _SHOWN


def _is_whose(text: str, place: Place, around: Surroundings) -> bool:
    """Whether a person is there only as whose thing it is, or for whom: "the desk of a lawyer".

    What makes a thing of the term when it stands behind ("lawyer desk") is such a thing; but what
    shows somebody, such as a poster of a nurse, is not, though a poster for a nurse may be. Nor is
    "a bear of a man", nor a uniform, which is worn but for "on a hanger".
    """
    link, at = link_before(text, place[0])
    if link not in ("of", "for") or _IS_SEEN.match(text, place[1]):
        return False
    if link == "of" and not _DETERMINED.match(text, at):
        return False  # "a boat of refugees"
    for words in preceding(text, at, around.longest[0]):
        if words in around.before and not PARTS.issuperset(words):
            worn = link == "of" and words[-1] in _WORN and not _LAID.match(text, place[1])
            if worn or _is_seen_later(text, place):
                return False
            showing = not _SHOWING.isdisjoint(words) or _A_THING.search(text[max(0, at - 40) : at])
            return link == "for" or not showing
    return False


def _is_seen_later(text: str, place: Place) -> bool:
    """Whether what follows in the sentence says that a person is there, or a blade lies near."""
    start, end = place
    last = end + _CLAUSE
    if _BLADE.search(text, max(0, start - _CLAUSE), last):
        return True
    sentence = SENTENCE_ENDS.search(text, end, last)
    return _SEEN_LATER.search(text, end, sentence.start() if sentence else last) is not None


def link_before(text: str, start: int) -> tuple[str, int]:
    """What ties a word for people to what is before it, and where: "of" in "of a tall nurse"."""
    begun = False  # the noun phrase, with its article
    for _ in range(_QUALITIES + 2):  # with an article, and the link itself
        last = next(preceding(text, start, 1), None)
        if last is None:
            break
        start = text.rindex(last[0], 0, start)
        if last[0] in PARTS and last[0] not in DETERMINERS:
            return last[0], start
        if begun and last[0] not in DETERMINERS:
            break  # "in the chair of a dentist a dentist leans over"
        begun = begun or last[0] in DETERMINERS
    return "", start


def noun_phrase(text: str, end: int) -> tuple[list[str], int]:
    """The words that follow up to where the noun phrase ends, and that place."""
    found: list[str] = []
    while len(found) < _PHRASE and (match := _NEXT.match(text, end)):
        word = match[1]
        if word == "s" and text[match.start(1) - 1] == "'":
            end = match.end()  # "the queen's palace"
            continue
        if word in PARTS or _is_doing(text, match) or _is_participle(word):
            break
        found.append(word)
        end = match.end()
    return found, end


def _is_doing(text: str, match: re.Match[str]) -> bool:
    word = match[1]
    if not word.endswith("ing") or word in _THINGS_IN_ING or _FOR_USE.match(text, match.end()):
        return False
    return word in _DONE_OF or _OF.match(text, match.end()) is None


def _is_participle(word: str) -> bool:
    return len(word) > 4 and word.endswith("ed") and not word.endswith("eed")


def _is_said_of_a_thing(text: str, place: Place, people: Sequence[Place]) -> bool:
    """Whether what a term is said of is no person, though one stands in the same clause.

    It is said of the last word of its own noun phrase, or stands for somebody itself ("a German").
    """
    start, end = place
    if words_in(text, place)[0] in PARTS:
        return _follows_a_thing(text, start, people)
    beside = next(preceding(text, start, 1), ("",))[0]
    if beside in _CALLED:
        return False  # "a nurse named Sarah Lopez"
    said_of, ends = noun_phrase(text, end)
    if not said_of:
        return beside in _LANGUAGE
    if _OF_SOMEBODY.intersection(said_of) or any(map(_SOMEBODY.fullmatch, said_of)):
        return False
    near = people[bisect_left(people, (start - _CLAUSE,)) : bisect_left(people, (ends + _CLAUSE,))]
    if any(end <= a < ends for a, _ in near):
        return False
    before = [match.end() for match in _ENDS.finditer(text, max(0, start - _CLAUSE), start)]
    first = before[-1] if before else max(0, start - _CLAUSE)
    after = _ENDS.search(text, ends, ends + _CLAUSE)
    last = after.start() if after else ends + _CLAUSE
    return any(
        (first <= a and b <= start and _parts(text[b:start])) or (ends <= a and b <= last)
        for a, b in near
    )


def _follows_a_thing(text: str, start: int, people: Sequence[Place]) -> bool:
    """Whether a term such as "from Ghana" stands behind a thing, somebody before that."""
    near = people[bisect_left(people, (start - _CLAUSE,)) : bisect_left(people, (start,))]
    ends = max((end for _, end in near if end <= start), default=None)
    if ends is None or SENTENCE_ENDS.search(text, ends, start):
        return False
    between = _SPACED.findall(text, ends, start)
    return not all(
        word in _COMING or word.isdigit() or (at and between[at - 1] in _CALLED)
        for at, word in enumerate(between)
    )


def _parts(between: str) -> bool:
    """Whether what stands between a person and a term parts them: "a nurse german" is one."""
    words = _SPACED.findall(between)
    return any(word in PARTS or word.endswith(("ing", "ed", "s")) for word in words)
