"""Which words of a prompt are no slips: names ("Tim Gunn", "Gunn Street") and counts ("1male").

A name is spelled as its bearer spells it, so it is no slip of the pen. Where every word begins with
a capital, or none does, capitals say nothing, and a word that the lists look for is no part of a
name: "Naekd Woman on a bed".
"""

import re
from collections.abc import Container
from functools import cached_property

from safegen.risk.kinds import words_of
from safegen.risk.normalize import View, is_count
from safegen.risk.spelling import Word, is_english

_WORDS = re.compile(r"[^\W\d_]+")
_BEFORE = re.compile(r"(?<!\w)(\w+)(\.?)[ \-]\Z")
_AFTER = re.compile(r"[ \-](\w+)")
_NEAR = 30  # characters before a name in which the word before it begins
# Small words are written with or without a capital in titles, and begin sentences.
_SMALL = words_of(
    "a an the this that these those his her its their my your our some any no not and or but "
    "nor in on at of to for from by with without as into over under near is are i he she we "
    "they it one two three"
)
_TITLES = words_of(
    "mr mrs ms miss mister dr doctor prof professor sir lady lord captain coach mayor "
    "president king queen prince princess saint st named called surnamed family"
)
_KIN = words_of("wife mother sister aunt cousin friend singer actress husband")
# What no dictionary knows, and stands before an occupation all the same: "Steampunk Engineer".
_STYLES = words_of(
    "steampunk dieselpunk solarpunk biopunk chibi kawaii elven dwarven orcish pixar ghibli "
    "noir hyperrealistic photoreal instagram"
)


class Names(Container[Word]):
    """The words of a view of a prompt that its capitals make names, and counts read as letters."""

    def __init__(self, view: View, prompt: str, listed: Container[str] = ()) -> None:
        """Look at the prompt only when asked.

        Args:
            view: of the prompt.
            prompt: with its capitals.
            listed: the words that are looked for in it.
        """
        self._view, self._prompt, self._listed = view, prompt, listed

    def __contains__(self, word: object) -> bool:
        """Whether it has a capital beside another capitalised word or after a title, or is a count.

        "Imale", read from "1male", is no slip of "impale".
        """
        if not isinstance(word, Word):
            return False
        if self._prompt[self._view.origin[word.start]].isdigit():
            return is_count(self._written[word.start : word.end])
        if self._begins_low(word):
            return False  # most of them, told at once
        written = self._written
        if not (self._has_low and _is_capitalised(written[word.start : word.end])):
            return False
        before = _BEFORE.search(written, max(0, word.start - _NEAR), word.start)
        if before and before[1].lower() in _TITLES:
            return True
        if before and (not before[2] or len(before[1]) == 1) and self._is_beside(before[1]):
            return True
        after = _AFTER.match(written, word.end)
        return after is not None and self._is_beside(after[1])

    def is_surname(self, start: int, end: int) -> bool:
        """Whether a word follows one that is no English word, both capitalised: "Chet Baker"."""
        if not self._prompt[self._view.origin[start]].isupper():
            return False
        written = self._written
        before = _BEFORE.search(written, max(0, start - _NEAR), start)
        if before is None or before[2] or not _is_capitalised(written[start:end]):
            return False
        first = before[1].lower()
        if not _may_be_a_name(before[1]) or is_english(first) or first in _STYLES:
            return False
        return self._has_low

    def may_be_surname(self, start: int, end: int) -> bool:
        """Whether a word after a first name may go on with it: "Burton", but not "anime"."""
        written = self._written[start:end]
        return (self._has_low and _is_capitalised(written)) or not is_english(written.lower())

    def is_given(self, start: int, end: int) -> bool:
        """Whether a word is written as a first name, and without accents: "my wife Nina".

        That it begins a sentence says nothing ("Bebe con una pistola"), nor does an article before
        it; another name after it does.
        """
        told = self._prompt[self._view.origin[start] : self._view.origin[end - 1] + 1]
        if not (told.isascii() and _is_capitalised(told) and self._has_low):
            return False
        before = _BEFORE.search(self._written, max(0, start - _NEAR), start)
        if before and before[1].lower() in _TITLES | _KIN:
            return True
        after = _AFTER.match(self._written, end)
        return after is not None and _may_be_a_name(after[1])

    def _is_beside(self, other: str) -> bool:
        """Whether a word next to another may be part of the same name."""
        return _may_be_a_name(other) and other.lower() not in self._listed

    def _begins_low(self, word: Word) -> bool:
        return not self._prompt[self._view.origin[word.start]].isupper()

    @cached_property
    def _written(self) -> str:
        """The view with the capitals of the prompt."""
        return "".join(self._prompt[i] for i in self._view.origin)

    @cached_property
    def _has_low(self) -> bool:
        """Whether a word that counts has no capital; in a title all have one."""
        return any(w.islower() and w not in _SMALL for w in _WORDS.findall(self._written))


def _is_capitalised(word: str) -> bool:
    """Whether a word begins with a capital and goes on with none."""
    return word[:1].isupper() and (len(word) == 1 or word[1:].islower())


def _may_be_a_name(word: str) -> bool:
    return _is_capitalised(word) and word.lower() not in _SMALL
