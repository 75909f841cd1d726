"""Words of a prompt that are none, as the words of lists that they were meant as.

"detec tive", "knif e" and "gernade" are no English words: parts that together give a word of a
list are read as that word, and so is a word with one letter too many, too few, wrong or in its
neighbour's place. What is a word of its own ("defective", "be heading") stays as it is.
"""

import re
from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from importlib.metadata import version
from string import ascii_lowercase
from typing import NamedTuple

from spellchecker import SpellChecker

DICTIONARY = f"pyspellchecker {version('pyspellchecker')}"
_SHORTEST, _LONGEST = 4, 30  # letters of a word whose spelling is mended
_LONG = 6
_SHORTEST_JOINED = 3
_PARTS = 4  # that a word is put together from
_ALIKE = {"i": "l", "l": "i"}  # a "1" stands for both: "p1sto1"
_LETTERS = re.compile(r"[a-z]+")


class Word(NamedTuple):
    """A word of a view, and the characters [start, end) that it was read from."""

    text: str
    start: int
    end: int


class Spelling:
    """Reads words that are none as words of a vocabulary."""

    def __init__(self, vocabulary: Collection[str]) -> None:
        """Mend towards these words; those of other scripts are left out."""
        self._vocabulary = frozenset(filter(_LETTERS.fullmatch, vocabulary))
        self._longest = max(map(len, self._vocabulary), default=0)
        self._meant = lru_cache(maxsize=4096)(self._nearest)

    def mended(self, words: list[Word], near: list[bool]) -> list[Word] | None:
        """The words with what can be mended mended; None: nothing can.

        Args:
            words: those of a view, in order.
            near: whether no more than a gap parts a word from the next; one fewer than `words`.
        """
        read: list[Word] = []
        i = 0
        while i < len(words):
            joined = self._joined(words, near, i)
            count = joined or 1
            last = words[i + count - 1]
            text = "".join(word.text for word in words[i : i + count])
            read.append(Word(text if joined else self._one(text), words[i].start, last.end))
            i += count
        return read if [w.text for w in read] != [w.text for w in words] else None

    def _joined(self, words: list[Word], near: list[bool], first: int) -> int:
        """How many words from `first` on give one of the vocabulary together; 0: none do."""
        text, real = "", True
        for i in range(first, min(first + _PARTS, len(words))):
            if i > first and not near[i - 1]:
                break
            text += words[i].text
            if len(text) > self._longest:
                break
            real = real and self._is_word(words[i].text)
            joined = i > first and not real and len(text) >= _SHORTEST_JOINED
            if joined and text in self._vocabulary:
                return i - first + 1
        return 0

    def _one(self, word: str) -> str:
        """The word of the vocabulary that `word` was meant as, or `word` itself."""
        if self._is_word(word) or not _SHORTEST <= len(word) <= _LONGEST:
            return word
        return self._meant(word)

    def _nearest(self, word: str) -> str:
        return next(filter(self._vocabulary.__contains__, _edits(word)), word)

    def _is_word(self, word: str) -> bool:
        """One letter may be a word ("a", "the king's sword"), and so may what is not Latin."""
        if len(word) == 1 or word in self._vocabulary or word in _english():
            return True
        return not (word.isascii() and word.isalpha())


def _edits(word: str) -> Iterator[str]:
    """What the word may have been meant as: all that is one slip away, the likeliest first.

    Short words have many neighbours by chance, above all names ("Zhong"): a letter too few or too
    many counts in longer ones only, and a wrong one in the longest.
    """
    cuts = range(len(word))
    yield from (word[:i] + _ALIKE[word[i]] + word[i + 1 :] for i in cuts if word[i] in _ALIKE)
    yield from (word[:i] + word[i + 1 :] for i in cuts[1:] if word[i] == word[i - 1])
    yield from (word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in cuts[:-1])
    if len(word) > _LONG:
        yield from (word[:i] + word[i + 1 :] for i in cuts)
    if len(word) >= _LONG - 1:
        yield from (word[:i] + c + word[i:] for i in range(len(word) + 1) for c in ascii_lowercase)
    if len(word) > _LONG:
        yield from (word[:i] + c + word[i + 1 :] for i in cuts for c in ascii_lowercase)


@cache
def _english() -> frozenset[str]:
    return frozenset(SpellChecker(language="en").word_frequency.words())
