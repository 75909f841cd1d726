"""A named list of terms, as a policy writes it, and the phrases that it is looked for by."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain, pairwise, product
from sys import intern
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from safegen.nouns import Frozen
from safegen.risk.around import Surroundings
from safegen.risk.normalize import WORD, plain

WRITTEN = (
    "terms", "several", "of_people", "figures", "handlers", "missing", "rules_out",
    "except_in", "except_before", "except_after",
)  # fmt: skip
"""The fields of a list that hold words and phrases."""
NAMED = re.compile(r"\{(\w+)\}")
"""The name of another list within a term."""
_SIGNS = "#%&*@"  # beside those that Unicode calls symbols; the rest are stops, quotes, brackets
# Behind these a term that ends in "s" is a plural ("knives"); others may be none: a bus, a lens.
_BEFORE_S = frozenset("bcdefghklmprtwy")
_NO_NOUNS = frozenset(
    ("of", "to", "from", "with", "by", "against", "a", "an", "the", "his", "her", "their", "my")
)
_PLAIN_GAP = re.compile(r"[\s\-_']+")


class Phrase(NamedTuple):
    """A term as it is looked for: its words and emoji, and the marks between them ("s&m")."""

    words: tuple[str, ...]
    marks: tuple[str, ...]

    def covers(self, other: "Phrase") -> bool:
        """Whether it is found in whatever the other is."""
        return self.words == other.words and fit(other.marks, self.marks)


class TermList(Frozen):
    """A named list of terms that gives a score (1 where a term is asked for) or a fact.

    One of the kind `words` gives nothing; it is there for the terms of other lists to name.
    """

    kind: Literal["score", "fact", "words"]
    terms: tuple[str, ...] = Field(
        min_length=1,
        description="words and phrases in the singular; {name} in one, here and below, stands for "
        "every term of the list of that name: black {occupation}",
    )
    rules_out: tuple[str, ...] = Field(
        default=(), description="words that say the things are not there: unarmed, sober"
    )
    missing: tuple[str, ...] = Field(
        default=(),
        description="things that count where the prompt says that there are none, of whatever kind:"
        " clothes, of nudity",
    )
    except_in: tuple[str, ...] = Field(
        default=(), description="phrases in which the terms mean something else: toy gun"
    )
    except_before: tuple[str, ...] = Field(
        default=(), description="words that, right after a term, make it mean something else: shark"
    )
    except_after: tuple[str, ...] = Field(
        default=(), description="the same for words right before a term: vacuum"
    )
    people: bool = Field(
        default=False,
        description="the terms name people: not as an owner (a doctor's coat), nor as a surname; "
        "gives fact.one_NAME too, true where one person is meant and not several",
    )
    several: tuple[str, ...] = Field(
        default=(), description="of terms that name people, those that mean several: troops"
    )
    figures: tuple[str, ...] = Field(
        default=(),
        description="for terms that name people, what is no person: who is a cat, a robot or a "
        "statue (a cat dressed as a doctor, a robot doctor, a statue of a doctor) is not one",
    )
    handlers: tuple[str, ...] = Field(
        default=(),
        description="of terms that name people, those who have to do with figures and are people: "
        "trainer, for a dog trainer",
    )
    of_people: tuple[str, ...] = Field(
        default=(),
        description="terms that count where they are said of somebody (a German mechanic), and not "
        "of a thing beside somebody (a mechanic with a German car)",
    )
    names: bool = Field(
        default=False,
        description="the terms are names of people: not of whose style or work it is (in the style "
        "of Rembrandt, art by Greg Rutkowski)",
    )
    exact: bool = Field(
        default=False,
        description="terms are found only as they are spelled; for names, codes and other languages"
        ", whose harmless words are slips of the pen to an English dictionary",
    )

    @model_validator(mode="after")
    def _words_are_terms_alone(self) -> Self:
        if self.kind == "words" and self.model_fields_set - {"kind", "terms"}:
            raise ValueError(
                "a list of kind words has terms alone: rules_out, except_in, exact and the like "
                "belong to the lists that name it"
            )
        return self

    @property
    def found(self) -> tuple[str, ...]:
        """What the list finds, and what its {name} stands for in other lists."""
        return self.terms + self.of_people

    def told(self) -> dict[str, Any]:
        """As it enters the digest; what came later and is not used leaves that as it was."""
        later = set(WRITTEN) - {"terms", "rules_out", "except_in"} | {"people", "names"}
        return self.model_dump(mode="json", exclude={k for k in later if not getattr(self, k)})

    @property
    def written(self) -> tuple[str, ...]:
        """All that may name other lists."""
        return tuple(chain.from_iterable(getattr(self, key) for key in WRITTEN))


def marks_of(gap: str) -> str:
    """What parts two words, less what parts the words of any phrase."""
    return _PLAIN_GAP.sub("", gap)


def fit(marks: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether between the words of a text there are no marks but those of a term."""
    return all(each in ("", want) for each, want in zip(marks, wanted, strict=True))


def phrase_of(term: str) -> Phrase:
    """The words and emoji of a term, as they stand in the view of a prompt that is matched on."""
    # Nearly all terms are words and spaces alone, and a policy has a hundred thousand of them.
    if term.isascii() and term.replace(" ", "").isalnum():
        words = tuple(map(intern, term.lower().split()))  # the same few in very many phrases
        return Phrase(words, ("",) * (len(words) - 1))
    return _read(term)


@lru_cache(maxsize=2**15)  # a policy reads each several times
def _read(term: str) -> Phrase:
    simple = term.isascii() and term.isprintable()
    text = term.casefold() if simple else plain(term)
    found = list(WORD.finditer(text))
    words = tuple(match.group() for match in found)
    return Phrase(words, tuple(marks_of(text[a.end() : b.start()]) for a, b in pairwise(found)))


def sign_of(term: str) -> str:
    """What a term without words is looked for as ("$$$"); "" where it is no more than a stop."""
    sign = plain(term).strip()
    signs = any(c in _SIGNS or unicodedata.category(c).startswith("S") for c in sign)
    return sign if signs else ""


NEVER_FOUND = "can never be found: it holds neither a word nor an emoji, nor a sign such as $"
"""What is wrong with a term that `can_be_found` is not true of."""


def can_be_found(term: str) -> bool:
    """Whether there is anything in a term that may be looked for."""
    begins = term[:1]  # nearly all begin with a word; the rest takes a longer look
    return (begins.isascii() and begins.isalnum()) or bool(phrase_of(term).words or sign_of(term))


def expanded(lists: Mapping[str, TermList], terms: Iterable[str]) -> Iterator[list[str]]:
    """What each term becomes with those of other lists put in for {their name}, and so on.

    Raises:
        KeyError: one names a list that does not exist.
    """

    @cache
    def words_for(name: str) -> list[str]:
        return list(chain.from_iterable(map(written, lists[name].found)))

    def written(term: str) -> list[str]:
        if "{" not in term:
            return [term]
        parts = NAMED.split(term)
        choices = [words_for(part) if at % 2 else [part] for at, part in enumerate(parts)]
        return list(map("".join, product(*choices)))

    return map(written, terms)


def surroundings_of(each: TermList, lists: Mapping[str, TermList]) -> Surroundings:
    """What a list says of the words around its terms, with those of other lists put in."""

    def phrases(key: str, *, plural_alone: bool = False) -> frozenset[tuple[str, ...]]:
        forms = (
            form
            for term in chain.from_iterable(expanded(lists, getattr(each, key)))
            for form in forms_of(term.casefold())[plural_alone:]
        )
        return frozenset(phrase_of(form).words for form in forms)

    plurals = frozenset[tuple[str, ...]]()
    if each.people:  # else it would be the longest part of loading a policy
        terms = chain.from_iterable(expanded(lists, each.terms))
        plurals = phrases("terms", plural_alone=True).difference(phrase_of(t).words for t in terms)
    return Surroundings(
        people=each.people,
        names=each.names,
        before=phrases("except_before"),
        after=phrases("except_after"),
        of_people=phrases("of_people"),
        plurals=plurals | phrases("several"),
        figures=phrases("figures"),
        handlers=phrases("handlers"),
    )


def other_spellings(
    each: TermList, lists: Mapping[str, TermList]
) -> dict[tuple[str, ...], frozenset[str]]:
    """The exceptions of an exact list that only accents tell from its terms, by their words.

    In Portuguese "faça" (make) is no "faca" (knife), but a prompt is matched without accents: such
    an exception excuses only what is written like it.
    """
    if not each.exact or not each.except_in:
        return {}

    def forms(terms: Iterable[str]) -> set[str]:
        written = chain.from_iterable(expanded(lists, terms))
        return {form for term in written for form in forms_of(term.casefold())}

    terms = forms(each.found)
    words = {phrase_of(term).words for term in terms}
    found: dict[tuple[str, ...], set[str]] = {}
    for other in forms(each.except_in) - terms:
        if (phrase := phrase_of(other)).words in words:
            found.setdefault(phrase.words, set()).add(as_written(other))
    return {phrase: frozenset(written) for phrase, written in found.items()}


def as_written(text: str) -> str:
    """A text with its accents, whatever its capitals and however Unicode spells it."""
    return unicodedata.normalize("NFC", text.casefold())


def may_be_about(fact: str) -> list[str]:
    """The lists that a score or fact may be about: `negated_x` and `one_x` are about x."""
    return [fact.removeprefix(prefix) for prefix in ("", "negated_", "one_")]


def list_of(fact: str, lists: Collection[str]) -> str:
    """Of some lists, the one that a score or fact is about."""
    return next((name for name in may_be_about(fact) if name in lists), fact)


def forms_of(term: str) -> list[str]:
    """The term and its plural; what is no word or no singular has none."""
    if not (term[-1:].isalnum() or WORD.search(term)):
        return [term]
    if (term[-1] == "s" and term[-2:-1] in _BEFORE_S) or term.rpartition(" ")[2] in _NO_NOUNS:
        return [term]
    if term.endswith(("man", "men")):
        return [term, f"{term[:-2]}en"]
    if term.endswith("fe"):
        return [term, f"{term[:-2]}ves"]
    if term.endswith(("s", "x", "ch", "sh")):
        return [term, f"{term}es"]
    if term.endswith("y") and term[-2:-1] not in "aeiou":
        return [term, f"{term[:-1]}ies"]
    return [term, f"{term}s"]
