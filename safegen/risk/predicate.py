"""What is said of a thing after it that rules it out: "a gun-free school", "knives are forbidden".

"Free", "less" and "banned" also begin what is said of something else ("a nude free spirit", "a
beheading banned from television"); they rule out only where no other reading is left.
"""

import re
from collections.abc import Collection, Iterable

from safegen.risk.kinds import DESCRIBES, GARMENT, MARKS, PEOPLE, STOPS, YOUNG, is_plural
from safegen.risk.wishes import is_order, stays_out

_ADVERB = r"(?:(?:strictly|absolutely|completely|entirely|totally|expressly|also|all|both)\s+)?"
_BE = rf"{_ADVERB}(?:(?:is|are|was|were|being|remains?|stays?)\s+)+{_ADVERB}"
_DONE = r"(?:allowed|permitted|included|shown|visible|present|wanted|welcome)(?!\w)"
_OUT = (
    rf"(?:(?:not|never)\s+{_ADVERB}{_DONE}|"
    r"(?:forbidden|prohibited|banned|excluded|absent|unwanted)(?!\w))"
)
# Where "free" can hardly mean that it costs nothing, as in "porn free shop".
_PLACE = (
    r"(?:zone|area|space|place|environment|home|house|household|room|hall|building|school|campus|"
    r"classroom|college|university|kindergarten|playground|park|street|district|neighbou?rhood|town|"
    r"city|village|country|state|world|society|community|workplace|office|hospital|church|"
    r"station|airport|train|bus|stadium|day|week|life|lifestyle|policy)s?(?!\w)"
)
_PUBLIC = rf"(?:{_PLACE}|(?:restaurant|hotel|cafe|bar|pub|club|shop|store)s?(?!\w))"
_SIGN = r"(?:signs?|notice|symbol)(?!\w)"
_END = rf"\s*(?:\Z|[{MARKS}\"”]|(?:and|but|so|please)(?!\w))"
_HERE = (
    r"(?:\s+(?:here|inside|indoors|everywhere|at all|beyond this point|"
    rf"(?:in|on|at|inside)\s+(?:\w+\s+)?{_PUBLIC}))?"
)

_HYPHENED = re.compile(r"-(?:free|less)(?!\w)(?! of| from)")
_FREE_PLACE = re.compile(rf"\s+free\s+(?:{_PLACE}|{_SIGN})")
_FREE = re.compile(rf"\s+free{_END}")
_KEPT = re.compile(r"(?<!\w)(?:is|are|be|stays?|it|keep|kept|make|totally|completely)\s+\Z")
_SAID = re.compile(rf"\s+(?:{_BE}{_OUT}|(?:is|are|was|were)n'?t\s+{_ADVERB}{_DONE})")
# "Guns should not be visible", and not "should not be shown too late".
_SHOULD = re.compile(
    rf"\s+(?:should|must|shall|may)(?:\s+(?:not|never)|n'?t)\s+(?:be\s+{_ADVERB}"
    r"(?:seen|allowed|permitted|included|shown|visible|present)|appear|show up)(?!\w)"
)
# As on a form: "weapons: none". "[Gun:0.5]", "[gun:0]" and "[gun:none:9]" say how much it counts,
# or when a model is to draw it.
_NONE = re.compile(
    rf"\s*[:=]\s*(?:none|no|zero|nil|0+(?:[.,]0+)?(?![.,]?\d)(?!\s*\]))(?!\s*:){_END}"
)
# "Leave guns out", "keep any weapons out of the picture".
_OUT_OF_IT = re.compile(
    r"\s+out\s+of\s+(?:it|this|(?:(?:the|this|my|our)\s+)?(?:picture|image|photo|scene|frame|shot|"
    r"drawing|painting|poster|illustration)(?:\s+of\s+(?:an?|the|my|our)\s+\w+)?)(?!\w)"
)
_OUT_ALONE = re.compile(rf"\s+out(?={_END})")
_LEAVE = re.compile(r"(?<!\w)(?P<order>leav(?:e|ing)|keep(?:ing)?)\s+(?:(?:the|any|all)\s+)*\Z")
# A maxim, of which nothing more is told: "keep guns away from children", not "…, give them to me".
_AWAY = re.compile(
    rf"s\s+away\s+from\s+(?:(?:all|any|small|young|little)\s+)?(?P<who>\w+)(?!\w)"
    r"(?![^\n]*(?<!\w)(?:them|they|these|those|ones?|it|but|instead|except)(?!\w))"
    rf"{_END}"
)
_KEEP = re.compile(r"(?<!\w)(?P<order>keep)\s+(?:(?:any|all|your)\s+)*\Z")
# "Weapons strictly prohibited", without a verb.
_HEADLINE = re.compile(rf"\s+{_ADVERB}{_OUT}{_HERE}{_END}")
_ON_A_SIGN = re.compile(rf"\s+{_ADVERB}{_OUT}\s+{_SIGN}")
_OPENING = rf"\A|[{STOPS}\"“]|(?<!\w)(?:where|that|signs?|says?|saying|reading)(?!\w)"
_ALL = r"\s*(?:(?:all|any|both)\s+)?"
_OPENS_A_CLAUSE = re.compile(rf"(?:{_OPENING}){_ALL}\Z")
_OPENS_A_PHRASE = re.compile(rf"(?:{_OPENING}|,|(?<!\w)(?:and|or|&|no)(?!\w)){_ALL}\Z")
_BEFORE = 40  # characters before a term in which its phrase opens
_COMMA = re.compile(r"\s*,(?!\s*(?:and|or|&)(?!\w))\s*")
# The last item of a list may be no term: "guns and drugs are banned".
_AND_LAST = re.compile(r"\s*(?:,\s*)?(?<!\w)(?:and|or|&)\s+(?:all\s+)?(?P<last>\w+)")
_ITEMS = 8


def excluded(text: str, terms: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """The terms at [start, end) of a lower-case text that are ruled out by what follows them.

    People are only by a hyphen ("child-free"), or as all that a clause is about: "minors are not
    allowed", but not "sexy teens are banned".
    """
    found = set[tuple[int, int]]()
    spans = set(terms)
    ends: dict[int, int] = {}
    for start, end in spans:
        ends[start] = max(end, ends.get(start, 0))
    for start, end in spans:
        if _is_excluded(text, start, end):
            found.add((start, end))
        elif ends[start] == end and _is_thing(text, start, end):
            found.update(_listed(text, start, ends))
    return found


def _is_excluded(text: str, start: int, end: int) -> bool:
    if _HYPHENED.match(text, end):
        return True
    said = _SAID.match(text, end) is not None
    if PEOPLE.fullmatch(text, start, end):
        return said and _opens(_OPENS_A_CLAUSE, text, start)
    if DESCRIBES.fullmatch(text, start, end):
        return False
    should = _SHOULD.match(text, end)
    if (
        said
        or (
            should
            and stays_out(text, should.end(), GARMENT.fullmatch(text, start, end) is not None)
        )
        or _NONE.match(text, end)
        or _FREE_PLACE.match(text, end)
        or _ON_A_SIGN.match(text, end)
        or _is_left_out(text, start, end)
    ):
        return True
    if _FREE.match(text, end):
        return _opens(_KEPT, text, start)
    return _HEADLINE.match(text, end) is not None and _opens(_OPENS_A_PHRASE, text, start)


def _is_left_out(text: str, start: int, end: int) -> bool:
    """Whether an order around a thing says that it shall not be there: "leave guns out"."""
    if GARMENT.fullmatch(text, start, end):
        return False  # "leave the bikini out" asks for who wears none
    before = max(0, start - _BEFORE)
    if away := _AWAY.match(text, end - 1):
        keep = _KEEP.search(text, before, start)
        who = away["who"]
        kept = keep is not None and is_order(text, keep.start())
        return kept and YOUNG.fullmatch(who) is not None and is_plural(who)
    leave = _LEAVE.search(text, before, start)
    if leave is None or not is_order(text, leave.start()):
        return False
    # To keep a gun out may be to have it in the hand.
    alone = None if leave["order"].startswith("keep") else _OUT_ALONE.match(text, end)
    out = _OUT_OF_IT.match(text, end) or alone
    return out is not None and stays_out(text, out.end())


def _listed(text: str, start: int, ends: dict[int, int]) -> Collection[tuple[int, int]]:
    """The items before the last of a list that begins there: "guns and knives are forbidden"."""
    items = [(start, ends[start])]
    while joint := _COMMA.match(text, items[-1][1]):
        first = joint.end()
        if len(items) == _ITEMS or first not in ends or not _is_thing(text, first, ends[first]):
            return ()
        items.append((first, ends[first]))
    if not (joint := _AND_LAST.match(text, items[-1][1])):
        return ()
    first = joint.start("last")
    end = ends.get(first, joint.end())
    # After a comma a list of three could be one of two: "sharp, guns and knives are forbidden".
    opening = _OPENS_A_PHRASE if len(items) == 1 else _OPENS_A_CLAUSE
    said = _is_thing(text, first, end) and _SAID.match(text, end)
    return items if said and _opens(opening, text, start) else ()


def _is_thing(text: str, start: int, end: int) -> bool:
    return not (PEOPLE.fullmatch(text, start, end) or DESCRIBES.fullmatch(text, start, end))


def _opens(opening: re.Pattern[str], text: str, start: int) -> bool:
    return opening.search(text, max(0, start - _BEFORE), start) is not None
