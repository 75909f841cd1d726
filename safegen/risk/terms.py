"""Term lists: which words of a policy's lists a prompt asks for, and which it rules out.

"a farmer without a knife" does not ask for a knife: a term in the scope of a negation gives the
fact `negated_<list>` instead of a score.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, chain, pairwise, product
from operator import itemgetter
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from safegen.errors import ClassifierError
from safegen.nouns import Frozen, Scores, Span
from safegen.risk.combine import classifier_digest, refuse_longer
from safegen.risk.names import Names
from safegen.risk.negation import denied, ruled_out
from safegen.risk.normalize import View, plain, views
from safegen.risk.spelling import DICTIONARY, Spelling, Word

MAX_CHARACTERS = 50_000  # of a prompt; more is an error, so that none takes long
# Chinese and Japanese put no spaces between words: every character is one, but for katakana, with
# which foreign words are written. Indic vowels are marks, which are no word characters to `re`.
_ALONE, _KATAKANA = (
    r"\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f",
    r"\u30a1-\u30ff",
)
_MARKED = r"\u0900-\u0963\u0966-\u109f"
_EMOJI = r"\u2600-\u27bf\U0001f300-\U0001faff"
_WORD = re.compile(rf"(?:[^\W_{_ALONE}{_KATAKANA}]|[{_MARKED}])+|[{_KATAKANA}]+|[{_ALONE}{_EMOJI}]")
NAMED = re.compile(r"\{(\w+)\}")
"""The name of another list within a term."""
_GAP = re.compile(r"[\s\-_']*")
_UNMARKED = re.compile(r"[a-z0-9 ]*")
_SIGNS = "#%&*@"  # beside those that Unicode calls symbols; the rest are stops, quotes, brackets
_PLAIN_GAP = re.compile(r"[\s\-_']+")

_Use = Literal["term", "rules_out", "except_in"]
_Match = tuple[str, _Use, tuple[int, int]]


class Phrase(NamedTuple):
    """A term as it is looked for: its words and emoji, and the marks between them ("s&m")."""

    words: tuple[str, ...]
    marks: tuple[str, ...]

    def covers(self, other: "Phrase") -> bool:
        """Whether it is found in whatever the other is."""
        return self.words == other.words and _fit(other.marks, self.marks)


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
    except_in: tuple[str, ...] = Field(
        default=(), description="phrases in which the terms mean something else: toy gun"
    )
    exact: bool = Field(
        default=False,
        description="terms are found only as they are spelled; for names, codes and other languages"
        ", whose harmless words are slips of the pen to an English dictionary",
    )

    @model_validator(mode="after")
    def _words_are_terms_alone(self) -> Self:
        if self.kind == "words" and (self.rules_out or self.except_in or self.exact):
            raise ValueError(
                "a list of kind words has terms alone: rules_out, except_in and exact belong to "
                "the lists that name it"
            )
        return self


class TermClassifier:
    """Matches whole words, with their plurals, of all lists in one pass over the prompt.

    For every list it gives a score of 0 or 1, or a fact, under the list's name, and the fact
    `negated_<list>`: a term stands there, but ruled out.
    """

    def __init__(
        self,
        lists: Mapping[str, TermList],
        kept: Collection[str] | None = None,
        name: str = "terms",
    ) -> None:
        """Index the lists once.

        Args:
            lists: matched together, for the words of each bound the reach of a negation.
            kept: the lists whose findings are told; None: all.
            name: what it is called in errors and records.

        Raises:
            ClassifierError: a term could never be found.
        """
        self.name = name
        matched = {name: each for name, each in lists.items() if each.kind != "words"}
        self._kept = matched.keys() & (lists.keys() if kept is None else kept)
        told = {name: each.model_dump(mode="json") for name, each in lists.items()}
        self.digest = classifier_digest(
            {
                "kind": "terms",
                "lists": told,
                "kept": sorted(self._kept),
                "dictionary": DICTIONARY,
            }
        )
        self._kinds = {name: each.kind for name, each in matched.items()}
        # A phrase -> where it stands: (list, use); a first word -> how long its phrases are.
        self._phrases: dict[tuple[str, ...], list[tuple[str, _Use]]] = {}
        self._lengths: dict[str, set[int]] = {}
        # The same for those with marks between their words, and those of nothing but marks.
        self._marked: dict[tuple[str, ...], list[tuple[tuple[str, ...], str, _Use]]] = {}
        self._marked_lengths: dict[str, set[int]] = {}
        self._signs: dict[str, list[tuple[str, _Use]]] = {}
        # Slips are mended towards terms alone: that on which a prompt may pass must be written.
        mendable = set[tuple[str, ...]]()
        for name, each in matched.items():
            terms = self._add(name, "term", expanded(lists, each.terms))
            self._add(name, "rules_out", expanded(lists, each.rules_out))
            self._add(name, "except_in", expanded(lists, each.except_in))
            if not each.exact:
                mendable |= terms
        self._spelling = Spelling(mendable, chain.from_iterable(self._phrases))

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """Scores, facts and spans per prompt; every list is named in each, found or not.

        Raises:
            ClassifierError: a prompt is longer than any real one.
        """
        return [self._told(self._scores(prompt)) for prompt in prompts]

    def _told(self, found: Scores) -> Scores:
        if len(self._kept) == len(self._kinds):
            return found

        def counts(name: str) -> bool:
            return name.removeprefix("negated_") in self._kept

        return Scores(
            values={name: value for name, value in found.values.items() if counts(name)},
            facts={name: value for name, value in found.facts.items() if counts(name)},
            spans=tuple(span for span in found.spans if counts(span.name)),
        )

    def _add(self, name: str, use: _Use, terms: Iterable[Iterable[str]]) -> set[tuple[str, ...]]:
        """Index the terms; returns them and their plurals, as the words that they consist of."""
        used = set[tuple[str, ...]]()
        for form in sorted(
            {form for each in terms for term in each for form in forms_of(term.casefold())}
        ):
            phrase = phrase_of(form)
            words = phrase.words
            if not words:
                if not (sign := sign_of(form)):
                    raise ClassifierError(
                        f"the list {name!r} has the term {form!r}, which can never be found: it "
                        "holds neither a word nor an emoji, nor a sign such as $",
                        "take the term out of the list",
                    )
                self._signs.setdefault(sign, []).append((name, use))
                continue
            used.add(words)
            self._phrases.setdefault(words, []).append((name, use))
            self._lengths.setdefault(words[0], set()).add(len(words))
            if any(phrase.marks):
                self._marked.setdefault(words, []).append((phrase.marks, name, use))
                self._marked_lengths.setdefault(words[0], set()).add(len(words))
        return used

    def _scores(self, prompt: str) -> Scores:
        refuse_longer(prompt, MAX_CHARACTERS)
        asked, negated = set[str](), set[str]()
        spans: dict[Span, None] = {}
        for view in views(prompt):
            for name, (start, end), out in self._found(view, prompt):
                (negated if out else asked).add(name)
                label = f"negated_{name}" if out else name
                first, last = view.span(start, end)
                spans[Span(name=label, start=first, end=last)] = None
        return Scores(
            values={n: float(n in asked) for n, kind in self._kinds.items() if kind == "score"},
            facts={n: n in asked for n, kind in self._kinds.items() if kind == "fact"}
            | {f"negated_{n}": n in negated for n in self._kinds},
            spans=tuple(spans),
        )

    def _found(self, view: View, prompt: str) -> Iterator[tuple[str, tuple[int, int], bool]]:
        """(list, where, whether ruled out) of every term of a view."""
        matches = self._matches(view, prompt)
        excuses = {span for _, use, span in matches if use == "except_in"}
        terms = {span for _, use, span in matches if use != "except_in"}
        # "Not a toy gun" excuses nothing, and asks for what it holds.
        void = denied(view.text, excuses, terms) if excuses and terms else set()
        innocent: dict[str, list[tuple[int, int]]] = {}
        guilty: dict[str, list[tuple[int, int]]] = {}
        for name, use, span in matches:
            if use == "except_in":
                (guilty if span in void else innocent).setdefault(name, []).append(span)
        # Matches come by where they start: how far the exceptions reach that start up to there.
        reach = {
            name: list(accumulate((b for _, b in each), max)) for name, each in innocent.items()
        }
        counted = []
        for name, use, span in matches:
            before = bisect_right(innocent.get(name, ()), span[0], key=itemgetter(0))
            excused = before > 0 and reach[name][before - 1] >= span[1]
            if use != "except_in" and not excused:
                counted.append((name, use, span))
        absences = {span for _, use, span in counted if use == "rules_out"}
        out = ruled_out(view.text, [span for _, _, span in counted], absences)
        for name, use, span in counted:
            meant = any(a <= span[0] and span[1] <= b for a, b in guilty.get(name, ()))
            yield name, span, not meant and out[span] is not (use == "rules_out")

    def _matches(self, view: View, prompt: str) -> list[_Match]:
        """All phrases, as spelled and as meant, by where they start."""
        text = view.text
        words = [Word(match.group(), *match.span()) for match in _WORD.finditer(text)]
        near = _near(text, words)
        matches = list(self._phrases_in(text, words, near))
        new = set(self._signs_in(text)) if self._signs else set[_Match]()
        mended = self._spelling.mended(words, near, Names(view, prompt))
        if mended != words:
            new.update(self._phrases_in(text, mended, _near(text, mended)))
        if new := new.difference(matches):
            matches = sorted([*matches, *new], key=lambda match: (match[2], match[:2]))
        return matches

    def _signs_in(self, text: str) -> Iterator[_Match]:
        for sign, uses in self._signs.items():
            for match in re.finditer(re.escape(sign), text):
                for name, use in uses:
                    yield name, use, match.span()

    def _phrases_in(
        self, text: str, words: Sequence[Word], near: Sequence[bool]
    ) -> Iterator[_Match]:
        for i, word in enumerate(words):
            for length in self._lengths.get(word.text, ()):
                last = i + length - 1
                if last < len(words) and all(near[i:last]):
                    span = word.start, words[last].end
                    phrase = tuple(each.text for each in words[i : last + 1])
                    for name, use in self._phrases.get(phrase, ()):
                        yield name, use, span
            if word.text in self._marked_lengths:
                yield from self._marked_at(text, words, i)

    def _marked_at(self, text: str, words: Sequence[Word], first: int) -> Iterator[_Match]:
        for length in self._marked_lengths[words[first].text]:
            part = words[first : first + length]
            phrase = tuple(each.text for each in part)
            if phrase in self._marked:
                marks = tuple(_marks(text[a.end : b.start]) for a, b in pairwise(part))
                for wanted, name, use in self._marked[phrase]:
                    if any(marks) and _fit(marks, wanted):
                        yield name, use, (part[0].start, part[-1].end)


def _marks(gap: str) -> str:
    """What parts two words, less what parts the words of any phrase."""
    return _PLAIN_GAP.sub("", gap)


def _fit(marks: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether between the words of a text there are no marks but those of a term."""
    return all(each in ("", want) for each, want in zip(marks, wanted, strict=True))


def _near(text: str, words: Sequence[Word]) -> list[bool]:
    """Whether no more than a gap parts each word from the next."""
    return [_GAP.fullmatch(text, a.end, b.start) is not None for a, b in pairwise(words)]


def phrase_of(term: str) -> Phrase:
    """The words and emoji of a term, as they stand in the view of a prompt that is matched on."""
    # Nearly all terms are simple, and a policy has thousands.
    simple = term.isascii() and term.isprintable()
    text = term.casefold() if simple else plain(term)
    if _UNMARKED.fullmatch(text):
        words = tuple(_WORD.findall(text))
        return Phrase(words, ("",) * (len(words) - 1))
    found = list(_WORD.finditer(text))
    words = tuple(match.group() for match in found)
    return Phrase(words, tuple(_marks(text[a.end() : b.start()]) for a, b in pairwise(found)))


def sign_of(term: str) -> str:
    """What a term without words is looked for as ("$$$"); "" where it is no more than a stop."""
    sign = plain(term).strip()
    signs = any(c in _SIGNS or unicodedata.category(c).startswith("S") for c in sign)
    return sign if signs else ""


def expanded(lists: Mapping[str, TermList], terms: Iterable[str]) -> Iterator[list[str]]:
    """What each term becomes with those of other lists put in for {their name}, and so on.

    Raises:
        KeyError: one names a list that does not exist.
    """

    @cache
    def words_for(name: str) -> list[str]:
        return list(chain.from_iterable(map(written, lists[name].terms)))

    def written(term: str) -> list[str]:
        if "{" not in term:
            return [term]
        parts = NAMED.split(term)
        choices = [words_for(part) if at % 2 else [part] for at, part in enumerate(parts)]
        return list(map("".join, product(*choices)))

    return map(written, terms)


def forms_of(term: str) -> list[str]:
    """The term and its plural; what is no word has none."""
    if not (term[-1:].isalnum() or _WORD.search(term)):
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
