"""Words of a prompt that are none, as the words of lists that they were meant as.

"detec tive", "knif e" and "gernade" are no English words: parts that together give a word of a
list are read as that word, and so is a word with one letter too many, too few, wrong or in its
neighbour's place. "Samuraisword" is none either: two words of lists, run together, are read as two.
What is a word of its own ("defective", "be heading") stays as it is.
"""

import re
from collections.abc import Collection, Container, Iterable, Iterator
from functools import cache, cached_property, lru_cache
from importlib.metadata import version
from itertools import chain, pairwise
from string import ascii_lowercase
from typing import NamedTuple

from spellchecker import SpellChecker

DICTIONARY = f"pyspellchecker {version('pyspellchecker')}"
_SHORTEST, _LONGEST = 4, 30  # letters of a word whose spelling is mended
_LONG = 6
_SHORTEST_JOINED = 3
_PARTS = 4  # that a word is put together from
_READ = 600  # words from the start; the text encoders of image models read 77 to 512 tokens
_FOREIGN = 1 / 3  # of the words beside those mended; with more the text is not English
_ALIKE = {"i": "l", "l": "i"}  # a "1" stands for both: "p1sto1"
_LETTERS = re.compile(r"[a-z]+")


class Word(NamedTuple):
    """A word of a view, and the characters [start, end) that it was read from."""

    text: str
    start: int
    end: int


class Spelling:
    """Reads words that are none as words of a vocabulary."""

    def __init__(self, terms: Collection[tuple[str, ...]], known: Iterable[str] = ()) -> None:
        """Mend towards the words of these terms, but for those of other scripts.

        Args:
            terms: the words of each. What is run together is parted into two terms of one word
                each, or into one of two words.
            known: further words, which are left as they are.
        """
        self._terms = frozenset(terms)
        words = chain.from_iterable(terms)
        self._vocabulary = frozenset(filter(_LETTERS.fullmatch, words))
        self._known = self._vocabulary.union(known)
        self._longest = max(map(len, self._vocabulary), default=0)
        self._meant = lru_cache(maxsize=4096)(self._nearest)

    @cached_property
    def alone(self) -> Container[str]:
        """The terms of one word."""
        return frozenset(term[0] for term in self._terms if len(term) == 1)

    def mended(
        self, words: list[Word], near: list[bool], names: Container[Word] = ()
    ) -> list[Word]:
        """The words of a view, with what can be mended mended, as far as image models read.

        Args:
            words: in order.
            near: whether no more than a gap parts a word from the next; one fewer than `words`.
            names: words that are spelled as they should be.
        """
        ends = [i + 1 for i, is_near in enumerate(near) if not is_near]
        runs = pairwise(sorted({0, *(end for end in ends if end < _READ), min(_READ, len(words))}))
        read = [word for start, end in runs for word in self._run(words[start:end], names)]
        return [*read, *words[_READ:]]

    def _run(self, words: list[Word], names: Container[Word]) -> list[Word]:
        """The same for words that nothing but gaps parts.

        Where most of the others are no English words either, it is another language, and what
        looks like a slip is a word of it ("tortue", a turtle, is no torture): nothing is mended.
        """
        real = [self._is_word(word.text) for word in words]
        if all(real):
            return words
        read: list[Word] = []
        others: list[bool] = []
        i = 0
        while i < len(words):
            parts = words[i : i + self._parts(words, real, i)]
            text = "".join(word.text for word in parts)
            start, end = parts[0].start, parts[-1].end
            stays = real[i] or len(parts) > 1 or words[i] in names
            meant = (text,) if stays else self._meant(text)
            if len(meant) == 2:
                middle = start + len(meant[0])
                read += [Word(meant[0], start, middle), Word(meant[1], middle, end)]
            else:
                read.append(Word(meant[0], start, end))
            if meant == (words[i].text,) and len(text) > 1:
                others.append(real[i])
            i += len(parts)
        foreign = others.count(False)
        return read if foreign <= max(1, _FOREIGN * len(others)) else words

    def _parts(self, words: list[Word], real: list[bool], first: int) -> int:
        """How many words from `first` on are one of the vocabulary; 1: it stands for itself."""
        text = ""
        for end in range(first + 1, min(first + _PARTS, len(words)) + 1):
            text += words[end - 1].text
            if len(text) > self._longest:
                break
            joined = len(text) >= _SHORTEST_JOINED and not all(real[first:end])
            if end > first + 1 and joined and text in self._vocabulary:
                return end - first
        return 1

    def _nearest(self, word: str) -> tuple[str, ...]:
        """The word or two words of the vocabulary that `word` was meant as, or `word` itself."""
        if not _SHORTEST <= len(word) <= _LONGEST:
            return (word,)
        for cut in range(_SHORTEST_JOINED, len(word) - _SHORTEST_JOINED + 1):
            pair = word[:cut], word[cut:]
            if pair in self._terms or {pair[:1], pair[1:]} <= self._terms:
                return pair
        return (next(filter(self._vocabulary.__contains__, _edits(word)), word),)

    def _is_word(self, word: str) -> bool:
        """One letter may be a word ("a", "the king's sword"), and so may what is not Latin."""
        if len(word) == 1 or is_english(word) or word in self._known:
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


def is_english(word: str) -> bool:
    """Whether a word in lower case stands in the dictionary."""
    return word in _english()


@cache
def _english() -> frozenset[str]:
    return frozenset(SpellChecker(language="en").word_frequency.words())
