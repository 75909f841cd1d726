"""Term lists: which words of a policy's lists a prompt asks for, and which it rules out.

"a farmer without a knife" does not ask for a knife: a term in the scope of a negation gives the
fact `negated_<list>` instead of a score.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Literal

from safegen.errors import ClassifierError
from safegen.nouns import Scores, Span
from safegen.risk.around import Surroundings, is_beside, is_single
from safegen.risk.bylines import is_credit, is_maker
from safegen.risk.combine import classifier_digest, refuse_longer
from safegen.risk.figures import is_figure, is_said_of_figure
from safegen.risk.lists import (
    NEVER_FOUND,
    TermList,
    as_written,
    can_be_found,
    expanded,
    fit,
    forms_of,
    list_of,
    marks_of,
    other_spellings,
    phrase_of,
    sign_of,
    surroundings_of,
)
from safegen.risk.names import Names
from safegen.risk.negation import denied, lacking, ruled_out
from safegen.risk.normalize import WORD, Place, View, views
from safegen.risk.spelling import DICTIONARY, Spelling, Word

MAX_CHARACTERS = 50_000  # of a prompt; more is an error, so that none takes long
_GAP = re.compile(r"[\s\-_']*")

_Use = Literal["term", "missing", "rules_out", "except_in"]
_SAY: tuple[_Use, ...] = ("term", "missing", "rules_out")
_Match = tuple[str, _Use, Place]


class _Places:
    """Where matches stand, taken in by where they start."""

    def __init__(self) -> None:
        self._reach: dict[tuple[str, _Use], tuple[list[int], list[int]]] = {}

    def add(self, kind: tuple[str, _Use], span: Place) -> None:
        starts, reach = self._reach.setdefault(kind, ([], []))
        starts.append(span[0])
        reach.append(max(span[1], reach[-1]) if reach else span[1])

    def hold(self, kind: tuple[str, _Use], span: Place) -> bool:
        """Whether a match of a kind reaches from the start of a place, or before, to its end."""
        starts, reach = self._reach.get(kind, ((), ()))
        before = bisect_right(starts, span[0])
        return before > 0 and reach[before - 1] >= span[1]

    def hold_within(self, kind: tuple[str, _Use], span: Place) -> bool:
        """The same of a longer match alone."""
        starts, reach = self._reach.get(kind, ((), ()))
        before, there = bisect_left(starts, span[0]), bisect_right(starts, span[0])
        longer = there > 0 and reach[there - 1] > span[1]
        return longer or (before > 0 and reach[before - 1] >= span[1])


class TermClassifier:
    """Matches whole words, with their plurals, of all lists in one pass over the prompt.

    For every list it gives a score of 0 or 1, or a fact, under the list's name, and the fact
    `negated_<list>`: a term stands there, but ruled out. For one of people it gives the fact
    `one_<list>` too: a term stands there in the singular.
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
        told = {name: each.told() for name, each in lists.items()}
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
        self._phrases: dict[tuple[str, ...], tuple[tuple[str, _Use], ...]] = {}
        self._lengths: dict[str, set[int]] = {}
        # The same for those with marks between their words, and those of nothing but marks.
        self._marked: dict[tuple[str, ...], list[tuple[tuple[str, ...], str, _Use]]] = {}
        self._marked_lengths: dict[str, set[int]] = {}
        self._signs: dict[str, list[tuple[str, _Use]]] = {}
        # Slips are mended towards terms alone: that on which a prompt may pass must be written.
        mendable = set[tuple[str, ...]]()
        for name, each in matched.items():
            terms = self._add(name, "term", expanded(lists, each.terms))
            terms |= self._add(name, "term", expanded(lists, each.of_people))
            terms |= self._add(name, "missing", expanded(lists, each.missing))
            self._add(name, "rules_out", expanded(lists, each.rules_out))
            self._add(name, "except_in", expanded(lists, each.except_in))
            if not each.exact:
                mendable |= terms
        self._exact = {name for name, each in matched.items() if each.exact}
        self._spelled = {
            (name, phrase): written
            for name, each in matched.items()
            for phrase, written in other_spellings(each, lists).items()
        }
        # Terms of those that are names too where they have lost their accents: "niña", "Nina".
        written = chain.from_iterable(
            expanded(lists, each.found) for each in matched.values() if each.exact
        )
        self._accented = {
            phrase_of(term).words for term in chain.from_iterable(written) if not term.isascii()
        }
        self._around = {
            name: around
            for name, each in matched.items()
            if (around := surroundings_of(each, lists)).any
        }
        self._spelling = Spelling(mendable, chain.from_iterable(self._phrases))

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """Scores, facts and spans per prompt; every list is named in each, found or not.

        Raises:
            ClassifierError: a prompt is longer than any real one.
        """
        return [self._told(self._scores(prompt)) for prompt in prompts]

    def excused(self, prompt: str) -> tuple[Span, ...]:
        """The terms that stand in a prompt and do not count there, by the exceptions of their list.

        Raises:
            ClassifierError: the prompt is longer than any real one.
        """
        refuse_longer(prompt, MAX_CHARACTERS)
        there, counted = dict[Span, None](), set[Span]()
        for view in views(prompt):
            counted |= {_in_prompt(view, name, at) for name, at, _ in self._found(view, prompt)}
            matches = self._matches(view, Names(view, prompt, self._spelling.alone))
            terms = ((n, at) for n, use, at in matches if use == "term")
            there |= {_in_prompt(view, name, at): None for name, at in terms if name in self._kept}
        return tuple(span for span in there if span not in counted)

    def _told(self, found: Scores) -> Scores:
        if len(self._kept) == len(self._kinds):
            return found

        def counts(name: str) -> bool:
            return list_of(name, self._kinds) in self._kept

        return Scores(
            values={name: value for name, value in found.values.items() if counts(name)},
            facts={name: value for name, value in found.facts.items() if counts(name)},
            spans=tuple(span for span in found.spans if counts(span.name)),
        )

    def _add(self, name: str, use: _Use, terms: Iterable[Iterable[str]]) -> set[tuple[str, ...]]:
        """Index the terms; returns them and their plurals, as the words that they consist of."""
        used = set[tuple[str, ...]]()
        alone: tuple[tuple[str, _Use]] = ((name, use),)  # one for all of them
        forms = {form for each in terms for term in each for form in forms_of(term.casefold())}
        if use == "except_in":
            # In each of the ways that a prompt is read in: "bomba d'acqua" is "bomba dacqua" too.
            elided = [form for form in forms if "'" in form]
            forms.update(view.text for form in elided for view in views(form))
        for form in sorted(forms):
            phrase = phrase_of(form)
            words = phrase.words
            if not words:
                if not can_be_found(form):
                    raise ClassifierError(
                        f"the list {name!r} has the term {form!r}, which {NEVER_FOUND}",
                        "take the term out of the list",
                    )
                self._signs.setdefault(sign_of(form), []).append((name, use))
                continue
            used.add(words)
            there = self._phrases.get(words)
            self._phrases[words] = (*there, *alone) if there else alone
            self._lengths.setdefault(words[0], set()).add(len(words))
            if any(phrase.marks):
                self._marked.setdefault(words, []).append((phrase.marks, name, use))
                self._marked_lengths.setdefault(words[0], set()).add(len(words))
        return used

    def _scores(self, prompt: str) -> Scores:
        refuse_longer(prompt, MAX_CHARACTERS)
        asked, negated, single = set[str](), set[str](), set[str]()
        spans: dict[Span, None] = {}
        for view in views(prompt):
            found = list(self._found(view, prompt))
            asked_for = [(name, at) for name, at, out in found if not out]
            people = sorted({at for name, at in asked_for if self._is_of_people(name)})
            # In Chinese the term for one often stands within that for several.
            several = _Places()
            for name, at in asked_for:
                if (around := self._around.get(name)) and not is_single(view.text, at, around):
                    several.add((name, "term"), at)
            for name, at, out in found:
                (negated if out else asked).add(name)
                alone = not out and not several.hold((name, "term"), at)
                if alone and name not in single and self._is_one(name, view.text, at, people):
                    single.add(name)
                label = f"negated_{name}" if out else name
                spans[_in_prompt(view, label, at)] = None
        return Scores(
            values={n: float(n in asked) for n, kind in self._kinds.items() if kind == "score"},
            facts={n: n in asked for n, kind in self._kinds.items() if kind == "fact"}
            | {f"negated_{n}": n in negated for n in self._kinds}
            | {f"one_{n}": n in single for n, around in self._around.items() if around.people},
            spans=tuple(spans),
        )

    def _is_of_people(self, name: str) -> bool:
        return name in self._around and self._around[name].people

    def _is_one(self, name: str, text: str, at: Place, people: Sequence[Place]) -> bool:
        """Whether what stands there in the singular is a person, and no figure."""
        around = self._around.get(name)
        return around is not None and not is_figure(text, at, around, people)

    def _found(self, view: View, prompt: str) -> Iterator[tuple[str, tuple[int, int], bool]]:
        """(list, where, whether ruled out) of every term of a view."""
        names = Names(view, prompt, self._spelling.alone)
        matches = self._matches(view, names)
        if self._spelled:
            matches = [each for each in matches if self._is_so_spelled(view, prompt, each)]
        excuses = {span for _, use, span in matches if use == "except_in"}
        terms = {span for _, use, span in matches if use != "except_in"}
        # "Not a toy gun" excuses nothing, and asks for what it holds.
        void = denied(view.text, excuses, terms) if excuses and terms else set()
        innocent, guilty, said = _Places(), _Places(), _Places()
        for name, use, span in matches:
            kind = said if use != "except_in" else guilty if span in void else innocent
            kind.add((name, use), span)
        counted = [
            (name, use, span)
            for name, use, span in matches
            if use != "except_in"
            and not innocent.hold((name, "except_in"), span)
            # "Non-smoker" is no smoker, and what is not "without clothes" lacks none.
            and not any(said.hold_within((name, other), span) for other in _SAY if other != use)
        ]
        spans = [span for _, _, span in counted]
        absences = {span for _, use, span in counted if use == "rules_out"}
        people = sorted({span for name, _, span in counted if self._is_of_people(name)})
        out = ruled_out(view.text, spans, absences, set(people))
        missing = {span for _, use, span in counted if use == "missing"}
        lacks = lacking(view.text, missing, spans, absences) if missing else set()
        abroad = {span for name, _, span in counted if name in self._exact}
        for name, use, span in counted:
            around = self._around.get(name)
            if around and use == "term" and _is_other(view.text, span, around, people, names):
                continue
            if use == "term" and name in self._exact and self._is_given(view, span, names, abroad):
                continue
            if use == "missing":
                if span in lacks:
                    yield name, span, False
                continue
            meant = guilty.hold((name, "except_in"), span)
            yield name, span, not meant and out[span] is not (use == "rules_out")

    def _is_given(self, view: View, span: Place, names: Names, abroad: Collection[Place]) -> bool:
        """Whether an accented term is written as a name, in text that has no other of its kind."""
        words = tuple(match.group() for match in WORD.finditer(view.text, *span))
        return words in self._accented and abroad == {span} and names.is_given(*span)

    def _is_so_spelled(self, view: View, prompt: str, match: _Match) -> bool:
        """Whether an exception that accents alone tell from a term is written with its own."""
        name, use, at = match
        if use != "except_in":
            return True
        words = tuple(word.group() for word in WORD.finditer(view.text, *at))
        written = self._spelled.get((name, words))
        first, last = view.span(*at)
        return written is None or as_written(prompt[first:last]) in written

    def _matches(self, view: View, names: Names) -> list[_Match]:
        """All phrases, as spelled and as meant, by where they start."""
        text = view.text
        words = [Word(match.group(), *match.span()) for match in WORD.finditer(text)]
        near = _near(text, words)
        matches = list(self._phrases_in(text, words, near))
        new = set(self._signs_in(text)) if self._signs else set[_Match]()
        mended = self._spelling.mended(words, near, names)
        if mended != words:
            meant = self._phrases_in(text, mended, _near(text, mended))
            new.update(match for match in meant if match[0] not in self._exact)
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
                marks = tuple(marks_of(text[a.end : b.start]) for a, b in pairwise(part))
                for wanted, name, use in self._marked[phrase]:
                    if any(marks) and fit(marks, wanted):
                        yield name, use, (part[0].start, part[-1].end)


def _is_other(
    text: str, place: Place, around: Surroundings, people: Sequence[Place], names: Names
) -> bool:
    """Whether a term means something else: a nurse shark, a headless doll, who made a photo."""
    if is_beside(text, place, around, people, names):
        return True
    if around.people:
        return is_maker(text, place, people)
    if around.names:
        return is_credit(text, place, people, names)
    return is_said_of_figure(text, place, around, people)


def _in_prompt(view: View, name: str, place: tuple[int, int]) -> Span:
    """What stands at a place of a view, in the prompt itself."""
    first, last = view.span(*place)
    return Span(name=name, start=first, end=last)


def _near(text: str, words: Sequence[Word]) -> list[bool]:
    """Whether no more than a gap parts each word from the next."""
    return [_GAP.fullmatch(text, a.end, b.start) is not None for a, b in pairwise(words)]
