"""Fields of a prompt for what shall not be seen: "negative prompt: nude, blurry", "Avoid: gore".

A field is a list of bare words up to the end of its line, its sentence, its brackets or quotation
marks, or the next field. The model is given what stands in it all the same, so only an item that is
a term and nothing else is ruled out ("nude", not "main subject nude"), and the field ends where
something is described or asked for: "negative prompt: blur, a nude woman".
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

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
    r"(?:\A|[.,;!?|()\[\]{}\n\"'“«#*–—]|\s-)[\s*]{0,4}"
    rf"(?:{_OPENING}[\"'*]*\s?:|{_NAMED}[\"'*]*\s?[:=])(?!:) ?[\"'“«]?"
)
# Where fields are said to mean something else, none is one: "ignore the negative prompt".
_UNDONE = re.compile(r"(?<!\w)(?:ignor|disregard|revers|invert|opposite of|swap|skip(?!p))")
_MARKS = re.compile(
    r"(?P<part>[,;]|(?<!\w)(?:and|or|nor|&)(?!\w)|::?-?[\d.]+(?=\s*[)\]]))"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<label>[:=])"
    r"|(?P<end>[.!?](?!\w)|[\n|–—\"“”«»]|(?<!\w)'|'(?!\w)|(?<=\s)-|\Z)"
)
_MOST = 4  # words of an item
# Something is described or ordered there, or nothing is ruled out at all.
_TELLS = re.compile(
    r"(?<!\w)(?:an?|the|this|that|these|those|his|her|their|its|my|our|your|he|she|they|it|i|we|"
    r"you|who|which|is|are|was|were|be|but|except|then|as|while|instead|show|make|draw|put|let|"
    r"give|add|want|please|now|actually|only|just|prompts?|positive|none|nothing|empty|nil|null|"
    r"nope|blank|sfw|yes|end)(?!\w)"
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
    items = list(_items(text)) if spans and marked and not _UNDONE.search(text) else []
    if not items:
        return found
    whole, outside = set(spans), _without(text, items)
    for first, last in items:
        item = text[first:last]
        worn = _CLOTHES.fullmatch(item) and SOMEBODY.search(outside)
        at = bisect_left(spans, (first,)) if (first, last) in whole else len(spans)
        while at < len(spans) and spans[at][0] < last:
            if spans[at][1] <= last:
                found[spans[at]] = bool(worn)
            at += 1
    return found


def _without(text: str, items: Sequence[Place]) -> str:
    ends = [0, *(last for _, last in items)]
    starts = [*(first for first, _ in items), len(text)]
    return " ".join(text[end:start] for end, start in zip(ends, starts, strict=True))


def _items(text: str) -> Iterator[Place]:
    """Where the items of all fields stand, as far as they are bare words."""
    for label in _LABEL.finditer(text):
        items = list(_listed(text, label.end()))
        # "Avoid: nudity, jk": the last item may be what takes it back.
        if not any(is_taken_back(text, last) for _, last in items[-2:]):
            yield from items


def _listed(text: str, start: int) -> Iterator[Place]:
    depth, closed = 0, False
    for mark in _MARKS.finditer(text, start):
        item = text[start : mark.start()]
        words = item.split()
        # "(blur) nude": what follows a bracket is no item of the list.
        if mark["label"] or _TELLS.search(item) or len(words) > _MOST or (closed and words):
            return
        described = len(words) > 1 and SOMEBODY.search(item)
        if words and not (described or _TOLD.search(item)):
            bare = item.strip(" \t*")
            first = start + item.find(bare)
            yield first, first + len(bare)
        depth += bool(mark["open"]) - bool(mark["close"])
        if mark["end"] is not None or depth < 0:
            return
        start, closed = mark.end(), mark["close"] is not None
