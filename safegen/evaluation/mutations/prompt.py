"""A prompt in pieces, some of them marked: the words on which a policy's decision hangs."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

Piece = tuple[str, bool]
"""A stretch of the prompt, and whether it is marked."""

_ARTICLE = re.compile(r"(?<!\w)(an?)( )$", re.IGNORECASE)
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Prompt:
    """A prompt as its pieces, in order; joined they are its text."""

    pieces: tuple[Piece, ...]

    @classmethod
    def marked(cls, text: str, spans: Iterable[tuple[int, int]]) -> "Prompt":
        """`text` with the characters [start, end) of each span marked; spans may overlap."""
        inside = bytearray(len(text))
        for start, end in spans:
            inside[start:end] = b"\1" * (end - start)
        edges = [0, *(i for i in range(1, len(text)) if inside[i] != inside[i - 1]), len(text)]
        return cls(tuple((text[a:b], bool(inside[a])) for a, b in pairwise(edges) if a < b))

    @classmethod
    def noticing(cls, text: str, phrases: Iterable[str]) -> "Prompt":
        """`text` with every one of the phrases marked, or else its longest word."""
        found = [match.span() for match in matching(phrases).finditer(text)]
        if not found:
            longest = max(_WORD.finditer(text), key=lambda m: len(m.group()), default=None)
            found = [longest.span()] if longest else []
        return cls.marked(text, found)

    @property
    def text(self) -> str:
        """The prompt as it is written."""
        return "".join(text for text, _ in self.pieces)

    @property
    def blocks(self) -> list[Piece]:
        """Its words, marked phrases in one, without the spaces between."""
        return [
            (text, is_marked)
            for piece, is_marked in self.pieces
            for text in ([piece] if is_marked else piece.split())
        ]

    def rewritten(self, new: Callable[[str], str]) -> "Prompt":
        """Every marked piece as `new` gives it, the articles before them agreeing."""
        pieces: list[Piece] = []
        for text, is_marked in self.pieces:
            written = new(text) if is_marked else text
            if is_marked and written != text and pieces:
                pieces[-1] = (_agreeing(pieces[-1][0], written), pieces[-1][1])
            pieces.append((written, is_marked))
        return Prompt(tuple(pieces))

    def within(self, template: str) -> "Prompt":
        """The prompt set in a template, in which {} stands for it."""
        before, _, after = template.partition("{}")
        around = ((before, False), *self.pieces, (after, False))
        return Prompt(tuple(piece for piece in around if piece[0]))


Mutate = Callable[[Prompt, Random], Prompt | None]
"""The prompt rewritten, or None where there is nothing for the mutation to do."""


@dataclass(frozen=True)
class Mutation:
    """One idea: its name, what it does in words, and whether what was asked for is still asked for.

    `negatable` says that a prompt which rules something out keeps its meaning too.
    """

    name: str
    about: str
    make: Mutate
    keeps: bool = True
    negatable: bool = True


def joined(blocks: Sequence[Piece]) -> Prompt:
    """Blocks with a space between them."""
    pieces = [piece for block in blocks for piece in ((" ", False), block)]
    return Prompt(tuple(pieces[1:]))


def swapped(prompt: Prompt, table: Mapping[str, str]) -> Prompt | None:
    """Marked phrases as `table` has them, and other words too; None if it knows no marked one.

    Args:
        prompt: to rewrite.
        table: phrases in lower case -> what takes their place.
    """
    if not any(is_marked and text.lower() in table for text, is_marked in prompt.pieces):
        return None
    phrases = matching(table)
    others = tuple(
        (text if is_marked else phrases.sub(lambda m: table[m.group().lower()], text), is_marked)
        for text, is_marked in prompt.pieces
    )
    return Prompt(others).rewritten(lambda text: table.get(text.lower(), text))


def matching(phrases: Iterable[str]) -> re.Pattern[str]:
    """Finds any of the phrases as whole words, the longest first; none, if there is none."""
    choices = "|".join(re.escape(each) for each in sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{choices})(?!\w)" if choices else r"(?!)", re.IGNORECASE)


def _agreeing(before: str, word: str) -> str:
    """`before` with an article at its end that goes with `word`."""

    def article(match: re.Match[str]) -> str:
        right = "an" if word[:1].lower() in {*"aeiou"} else "a"
        return (right.capitalize() if match[1][0].isupper() else right) + match[2]

    return _ARTICLE.sub(article, before)
