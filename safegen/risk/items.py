"""The items of a list in a text: "no knives, guns or bombs"."""

import re
from bisect import bisect_left
from collections.abc import Sequence

from safegen.risk.cues import Token
from safegen.risk.kinds import MARKS
from safegen.risk.normalize import Place

# What joins the items of a list; the "and" or "or" after a comma is the same joint.
JOINT = re.compile(r"\s*(?:,\s*)?(?<!\w)(and|n?or|&)(?!\w)|\s*(,)")
AND_SO_ON = re.compile(r"\s*,?\s+or (?:otherwise|similar|the like|anything|others)(?!\s+\w)")
_PARTED = re.compile(rf"[{MARKS}]|(?<!\w)(?:and|n?or|&)(?!\w)")
_LAST = re.compile(r"(?:\s+(?:at all|anywhere|please|visible|whatsoever|of any (?:kind|sort)))?\s*")
_LIST = 500  # characters from a term in which the list that it stands in ends
_ITEMS = 50  # of a list; a longer one closes nothing, so that it is read in no time


class Items:
    """What stands in a text from a term on, up to the end of its item, and of its list."""

    def __init__(self, text: str, terms: Sequence[Place]) -> None:
        """Args: the text, and where its terms stand, in order."""
        self._text = text
        self._starts = [start for start, _ in terms]
        self._ends = dict(terms)  # of the longest that starts there

    def is_closed(self, token: Token, by: Sequence[str] = ("or", "nor")) -> bool:
        """Whether only terms follow up to the "or" that closes the list, the one after it too.

        Args:
            token: an item.
            by: what closes it.
        """
        at = self._end(token)
        if AND_SO_ON.match(self._text, at):
            return True
        for _ in range(_ITEMS):
            joint = JOINT.match(self._text, at)
            if joint is None:
                return False
            following = self._first(joint.end())
            if following is None:
                return False
            if joint[1] in by:
                return True
            at = self._end(following)
        return False

    def stands_alone(self, token: Token) -> bool:
        """Whether the item ends with the term: "no guns, knives", not "…, knife in hand"."""
        at = self._end(token)
        last = _LAST.match(self._text, at)
        at = last.end() if last else at
        return at == len(self._text) or _PARTED.match(self._text, at) is not None

    def goes_on(self, token: Token) -> bool:
        """Whether one more thing follows that is named by a bare word: "guns, knives and bombs"."""
        joint = JOINT.match(self._text, self._end(token))
        following = joint and self._first(joint.end())
        if not joint or not following or self._text[joint.end() : following.start].strip():
            return False
        return self.stands_alone(following)

    def ends_two(self, start: int, token: Token) -> bool:
        """Whether a list of two that begins at `start` ends with it: not "guns, knives, bombs"."""
        is_third = len(list(JOINT.finditer(self._text, start, token.start))) > 1
        closed = self.is_closed(token, ("or", "nor", "and", "&"))
        return not (is_third or closed or self.goes_on(token))

    def rest(self, start: int, end: int) -> str:
        """The text from `start` to the end of the item that goes on at `end`."""
        ends = _PARTED.search(self._text, end, end + _LIST)
        return self._text[start : ends.start() if ends else end + _LIST]

    def _end(self, token: Token) -> int:
        """Where the terms end that follow each other from this one on."""
        end = token.end
        while (following := bisect_left(self._starts, token.start + 1)) < len(self._starts):
            start = self._starts[following]
            if self._text[end:start].strip(" -"):
                break
            token = Token(start, self._ends[start], "term")
            end = max(end, token.end)
        return end

    def _first(self, start: int) -> Token | None:
        """The first term of the item that starts there."""
        following = bisect_left(self._starts, start)
        if following == len(self._starts):
            return None
        first = self._starts[following]
        if first - start > _LIST or _PARTED.search(self._text, start, first):
            return None
        return Token(first, self._ends[first], "term")
