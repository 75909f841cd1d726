"""Fields of a prompt for what shall not be seen: "negative prompt: nude, blurry", "Avoid: gore".

A field is a list of bare words up to the end of its line, its sentence or the next field. The model
is given what stands in it all the same, so the field ends where something is described or asked
for: "negative prompt: blur, a nude woman", "negative prompt: blur. prompt: nude woman".
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from safegen.risk.around import words_of
from safegen.risk.kinds import SOMEBODY
from safegen.risk.normalize import Place
from safegen.risk.wishes import is_taken_back

_NAMED = r"(?:negative|neg)[ _-]?prompts?"
# These are the names of fields where they open a clause: not in "do not avoid: gore".
_OPENING = (
    r"(?:negatives?|neg|(?:please )?(?:avoid|exclude|omit)|excluded|unwanted|undesired content|"
    r"things to avoid|without|no|(?:please )?(?:do not|don'?t) (?:include|show|draw|add|generate))"
)
_LABEL = re.compile(
    rf"(?:(?:\A|[.,;!?|()\[\]{{}}\n\"#*–—]|\s-)[\s*]*(?:{_OPENING}|{_NAMED})|"
    rf"(?<!\w)(?P<before>\w+)\s{_NAMED})[\"*]*\s?[:=](?!:)"
)
# "Ignore the negative prompt: nude" has no such field.
_SPOKEN_OF = words_of(
    "a the this that no not any my your as of is without ignore ignoring forget skip drop remove "
    "reverse invert opposite disregard undo"
)
_MARKS = re.compile(
    r"(?P<part>[,;()\[\]{}\"]|(?<!\w)(?:and|or|nor|&)(?!\w)|::?-?[\d.]+(?=\s*[)\]]))"
    r"|(?P<label>[:=])"
    r"|(?P<end>[.!?](?!\w)|[\n|–—]|(?<=\s)-|\Z)"
)
_MOST = 4  # words of an item
# Something is described or ordered there, or nothing is ruled out at all.
_TELLS = re.compile(
    r"(?<!\w)(?:an?|the|this|that|these|those|his|her|their|its|my|our|your|he|she|they|it|i|we|"
    r"you|who|which|is|are|was|were|be|but|except|then|as|while|instead|show|make|draw|put|let|"
    r"give|add|want|please|now|actually|only|just|prompts?|positive|none|nothing|empty|nil|null)"
    r"(?!\w)"
)
# Where something is, with what, how many, or what is not: such an item is read as anywhere else,
# and so is somebody described, "nude woman", which may be what is wanted.
_TOLD = re.compile(
    r"(?<!\w)(?:no|not|non|never|without|in|on|at|by|under|beside|near|for|to|with|\d+|one|two|"
    r"three|four|five|six|\w+n't)(?!\w)"
)
_CLOTHES = re.compile(r"clothes|clothing")


def fielded(text: str, terms: Iterable[Place]) -> dict[Place, bool]:
    """The terms at [start, end) of a lower-case text that a field rules out.

    Of each, whether somebody lacks it then: clothes, in "a woman, negative prompt: clothes".
    """
    found: dict[Place, bool] = {}
    spans = sorted(terms)
    marked = ":" in text or "=" in text  # as few prompts are
    items = list(_items(text)) if spans and marked else []
    if not items:
        return found
    somebody = SOMEBODY.search(text)
    for first, last in items:
        item = text[first:last].strip()
        worn = _CLOTHES.fullmatch(item) and somebody and somebody.start() < first
        at = bisect_left(spans, (first,))
        while at < len(spans) and spans[at][0] < last:
            if spans[at][1] <= last:
                found[spans[at]] = bool(worn)
            at += 1
    return found


def _items(text: str) -> Iterator[Place]:
    """Where the items of all fields stand, as far as they are bare words."""
    for label in _LABEL.finditer(text):
        if label["before"] in _SPOKEN_OF:
            continue
        items = list(_listed(text, label.end()))
        if items and not is_taken_back(text, items[-1][1]):
            yield from items


def _listed(text: str, start: int) -> Iterator[Place]:
    for mark in _MARKS.finditer(text, start):
        item = text[start : mark.start()]
        if mark["label"] or _TELLS.search(item) or len(item.split()) > _MOST:
            return
        described = len(item.split()) > 1 and SOMEBODY.search(item)
        if not (described or _TOLD.search(item)):
            yield start, mark.start()
        if mark["end"] is not None:
            return
        start = mark.end()
