"""The words of a policy's lists: each can be found, every {name} stands for some, and all fit."""

import reprlib
from collections.abc import Iterable, Mapping

from safegen.errors import did_you_mean
from safegen.policy.load import Document
from safegen.policy.tree import Place
from safegen.risk.lists import (
    NAMED,
    NEVER_FOUND,
    WRITTEN,
    Phrase,
    TermList,
    can_be_found,
    expanded,
    forms_of,
    other_spellings,
    phrase_of,
)

# What a list finds; the rest says when it does not.
_FOUND = ("terms", "of_people", "missing", "rules_out")
_MAX_TERMS, _MAX_CHARACTERS, _MAX_DEPTH = 500_000, 10_000_000, 8


def check_words(document: Document, lists: Mapping[str, TermList]) -> None:
    """Check the lists of a document, whose terms may name any of `lists`; these hold its own too.

    Raises:
        PolicyError: a term is no word, names a list that does not exist, or lists that name each
            other without end; or the terms are too many once {names} stand for their terms.
    """
    terms: dict[Place, str] = {
        ("lists", name, key, number): term
        for name, each in document.file.lists.items()
        for key in WRITTEN
        for number, term in enumerate(getattr(each, key))
    }
    for place, term in terms.items():
        _check_names(document, place, term, lists)
    deep = _too_deep(lists)
    for place, term in terms.items():
        if deep.intersection(NAMED.findall(term)):
            raise document.error(
                place,
                f"the term names lists that name others, in a circle or more than {_MAX_DEPTH} "
                "deep",
                "write some of the words out",
            )
    _check_size(document, terms, lists)
    meant = list(expanded(lists, terms.values()))
    for place, written in zip(terms, meant, strict=True):
        if empty := [each for each in written if not can_be_found(each)]:
            raise document.error(
                place,
                f"{reprlib.repr(empty[0])} {NEVER_FOUND}",
                "take it out",
            )
    excuses = {
        name: _excuses(each, lists) for name, each in document.file.lists.items() if each.except_in
    }
    for place, written in zip(terms, meant, strict=True):
        name, key = str(place[1]), place[2]
        if name in excuses and key in _FOUND and _covered(written, excuses[name]):
            raise document.error(
                place,
                f"{reprlib.repr(terms[place])} can never be found: `except_in` of the list "
                f"{name!r} excuses it wherever it stands",
                f"take it out of `{key}` or out of `except_in`",
            )


def _phrases(terms: Iterable[list[str]]) -> dict[tuple[str, ...], list[Phrase]]:
    """Terms and their plurals, by their words."""
    found: dict[tuple[str, ...], list[Phrase]] = {}
    for form in (form for each in terms for term in each for form in forms_of(term.casefold())):
        phrase = phrase_of(form)
        found.setdefault(phrase.words, []).append(phrase)
    return found


def _excuses(each: TermList, lists: Mapping[str, TermList]) -> dict[tuple[str, ...], list[Phrase]]:
    """The exceptions of a list, but for those that excuse only another spelling."""
    found = _phrases(expanded(lists, each.except_in))
    for words in other_spellings(each, lists):
        del found[words]
    return found


def _covered(terms: Iterable[str], by: Mapping[tuple[str, ...], list[Phrase]]) -> bool:
    """Whether all that a term stands for is found as one of these phrases too."""
    phrases = map(phrase_of, terms)
    return all(any(each.covers(own) for each in by.get(own.words, ())) for own in phrases)


def _check_names(
    document: Document, place: Place, term: str, lists: Mapping[str, TermList]
) -> None:
    for name in NAMED.findall(term):
        if name not in lists:
            raise document.error(
                place,
                f"the list {place[1]!r} names the list {name!r}, which does not exist",
                did_you_mean(name, lists),
            )
    if {"{", "}"} & {*NAMED.sub("", term)}:
        raise document.error(
            place,
            "the term has a brace that belongs to no {name} of a list",
            f"leave the brace out, or name a list, e.g. {{{next(iter(lists))}}}",
        )


def _too_deep(lists: Mapping[str, TermList]) -> set[str]:
    """The lists that name others which name others …, without end or nearly so."""
    names = {name: {*NAMED.findall(" ".join(each.found))} for name, each in lists.items()}
    left = {*names}
    for _ in range(_MAX_DEPTH):
        left = {name for name in left if names[name] & left}
    return left


def _check_size(
    document: Document, terms: Mapping[Place, str], lists: Mapping[str, TermList]
) -> None:
    """`{other}` multiplies: a small file must not grow into more than fits into memory."""
    known: dict[str, tuple[int, int]] = {}
    total = characters = 0
    for place, term in terms.items():
        count, length = _size(term, lists, known)
        total, characters = total + count, characters + length
        if total > _MAX_TERMS or characters > _MAX_CHARACTERS:
            raise document.error(
                place,
                f"the lists hold more than {_MAX_TERMS} terms, or more than {_MAX_CHARACTERS} "
                "characters, once {names} stand for their terms",
                "use fewer terms, or a classifier of your own",
            )


def _size(
    term: str, lists: Mapping[str, TermList], known: dict[str, tuple[int, int]]
) -> tuple[int, int]:
    """How many terms of how many characters in all one becomes; of too many, just too many."""
    count, characters = 1, 0
    for at, part in enumerate(NAMED.split(term)):
        many, length = 1, len(part)
        if at % 2:
            if part not in known:
                known[part] = _sum(_size(each, lists, known) for each in lists[part].found)
            many, length = known[part]
        count, characters = _capped(count * many, characters * many + length * count)
    return count, characters


def _sum(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    counts, lengths = zip(*sizes, strict=True)
    return _capped(sum(counts), sum(lengths))


def _capped(count: int, characters: int) -> tuple[int, int]:
    return min(count, _MAX_TERMS + 1), min(characters, _MAX_CHARACTERS + 1)
