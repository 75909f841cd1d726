"""A policy and the policies that it imports, merged into one whole.

Rules and lists of the importing policy take the place of imported ones of the same name, `without`
leaves imported rules out, checks add up. Where one import has replaced what another has from the
same third policy, the replacement holds. What an import locks must come out of that as it was:
`safegen.policy.locks`.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from safegen.errors import PolicyError, did_you_mean
from safegen.policy.context import united
from safegen.policy.load import Document, identity, parse_policy
from safegen.policy.locks import refuse_broken_locks
from safegen.policy.schema import PolicyFile
from safegen.policy.tree import Place
from safegen.policy.whole import Key, PlacedRule, TermGroup, Whole, with_named
from safegen.policy.words import check_words

# (name of the import, source of the importing policy) -> (its text, its source)
Fetch = Callable[[str, str], tuple[str, str]]
T = TypeVar("T")
_MAX_DOCUMENTS = 32
_RECORD = "record"
_LADDERS = ("ladder", "early_look")


def read_whole(text: str, source: str, fetch: Fetch) -> Whole:
    """Parse a policy and what it imports.

    Raises:
        PolicyError: one of them is wrong, or the policy touches what an import has locked.
    """
    whole = _Reader(fetch).read(text, source, ())
    if not whole.rules:
        raise whole.document.error(
            (),
            "the policy has no rule",
            "give it at least one; a file of lists alone is for other policies to import",
        )
    return whole


class _Reader:
    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._known: dict[Key, Whole] = {}

    def read(self, text: str, source: str, importers: tuple[Key, ...]) -> Whole:
        """The whole of one document; `importers` are those that led to it."""
        document = parse_policy(text, source)
        whole = Whole(document, documents={(source, text): document})
        imported = [
            self._import(document, number, name, (*importers, identity(text, source)))
            for number, name in enumerate(document.file.imports)
        ]
        for number, other in enumerate(imported):
            _take_in(whole, other, number)
        _note_replaced(whole)
        _leave_out(whole)
        _add_lists(whole)
        _add_rules(whole)
        file = document.file
        whole.classifiers |= file.classifiers
        whole.context = united(whole.context, file.context)
        whole.detectors |= file.detectors
        whole.checks += file.checks
        whole.ladder = file.ladder or whole.ladder
        whole.early_look = file.early_look or whole.early_look
        # What is kept of people is said in one place: no part of a section comes from elsewhere.
        whole.record = file.record if _RECORD in file.model_fields_set else whole.record
        refuse_broken_locks(whole, imported)
        _refuse_two_ladders(whole, imported)
        whole.digest = _digest(text, imported)
        return whole

    def _import(
        self, document: Document, number: int, name: str, importers: tuple[Key, ...]
    ) -> Whole:
        place: Place = ("imports", number)
        try:
            text, source = self._fetch(name, document.source)
        except PolicyError as error:
            raise document.error(
                place, f"cannot import {name!r}: {error.reason}", error.mend
            ) from error
        key = identity(text, source)
        if key in importers:
            raise document.error(
                place, f"{name!r} imports this policy, which imports it", "break the circle"
            )
        if key not in self._known:
            if len(self._known) >= _MAX_DOCUMENTS or len(importers) >= _MAX_DOCUMENTS:
                raise document.error(
                    place, f"more than {_MAX_DOCUMENTS} policies are imported", "import fewer"
                )
            self._known[key] = self.read(text, source, importers)
        return self._known[key]


def _take_in(whole: Whole, other: Whole, number: int) -> None:
    """Add an import. What two imports both write, the importing policy must settle.

    What both have from a third one is the same object; if one has replaced it, that holds.
    """
    whole.replaced |= other.replaced
    mine = _written(whole.document.file)
    mine["rule"] |= set(whole.document.file.without)
    new = _parts(other)
    for what, known in _parts(whole).items():
        for name in sorted(known.keys() & new[what].keys() - mine[what]):
            one, two = known[name], new[what][name]
            if one is not two and not {id(one), id(two)} & whole.replaced.keys():
                raise _written_twice(whole.document, number, what, name)
    whole.rules |= _in_force(other.rules, whole)
    whole.lists |= _in_force(other.lists, whole)
    whole.classifiers |= _in_force(other.classifiers, whole)
    whole.context = united(whole.context, other.context)
    whole.detectors |= _in_force(other.detectors, whole)
    for key, group in other.groups.items():
        before = whole.groups.get(key, group)
        whole.groups[key] = TermGroup(group.lists, group.kept & before.kept)
    whole.checks += other.checks
    for name in (_RECORD, *_LADDERS):
        if (section := getattr(other, name)) and id(section) not in whole.replaced:
            setattr(whole, name, section)
    whole.documents = other.documents | whole.documents


def _in_force(parts: Mapping[str, T], whole: Whole) -> dict[str, T]:
    """Those of an import that no other import has replaced."""
    return {name: part for name, part in parts.items() if id(part) not in whole.replaced}


def _refuse_two_ladders(whole: Whole, imported: Sequence[Whole]) -> None:
    """Where imports climb or look early in different ways, the importing policy must settle it.

    What locked rules say of a ladder says more of what is wrong, so that they are heard before.
    """
    for name in _LADDERS:
        if getattr(whole.document.file, name):
            continue
        sections = [(number, getattr(other, name)) for number, other in enumerate(imported)]
        written = [each for each in sections if each[1] and id(each[1]) not in whole.replaced]
        for number, section in written:
            if section != written[0][1]:
                raise _written_twice(whole.document, number, "section", name)


def _written_twice(document: Document, number: int, what: str, name: str) -> PolicyError:
    return document.error(
        ("imports", number),
        f"the {what} {name!r} is written in this import and in one before",
        "import only one of them, or write your own under that name",
    )


def _parts(whole: Whole) -> dict[str, Mapping[str, object]]:
    """What stands in force under a name, by its kind."""
    return {
        "rule": whole.rules,
        "list": whole.lists,
        "classifier": whole.classifiers,
        "detector": whole.detectors,
        "section": {_RECORD: whole.record} if whole.record else {},
    }


def _written(file: PolicyFile) -> dict[str, set[str]]:
    """The names under which a file writes something itself, by its kind."""
    return {
        "rule": {rule.id for rule in file.rules},
        "list": {*file.lists},
        "classifier": {*file.classifiers},
        "detector": {*file.detectors},
        "section": set(file.model_fields_set),
    }


def _note_replaced(whole: Whole) -> None:
    """Note what the importing policy has in place of what its imports wrote."""
    file, own = whole.document.file, _written(whole.document.file)
    in_force = _parts(whole)
    old = [in_force[what][name] for what in own for name in in_force[what].keys() & own[what]]
    ladders = [getattr(whole, name) for name in _LADDERS if getattr(file, name)]
    old += [section for section in ladders if section]
    whole.replaced |= {id(part): part for part in old}


def _leave_out(whole: Whole) -> None:
    for number, name in enumerate(whole.document.file.without):
        place: Place = ("without", number)
        if name not in whole.rules:
            raise whole.document.error(
                place,
                f"no import has the rule {name!r}, which is to be left out",
                did_you_mean(name, whole.rules),
            )
        del whole.rules[name]


def _add_rules(whole: Whole) -> None:
    own: set[str] = set()
    for number, rule in enumerate(whole.document.file.rules):
        place: Place = ("rules", number, "id")
        if rule.id in own:
            raise whole.document.error(
                place, f"two rules are called {rule.id!r}", "give each an id of its own"
            )
        own.add(rule.id)
        whole.rules[rule.id] = PlacedRule(rule, whole.document, ("rules", number))
    whole.rules = dict(sorted(whole.rules.items(), key=lambda item: _rank(whole, item[1])))


def _rank(whole: Whole, placed: PlacedRule) -> tuple[int, int]:
    """Where a rule stands among all; of one rank, as they stand in the files.

    What an import locks comes first, as it stands there: whatever priority a rule of the importer
    has, it can neither draw the same attribute nor give its reason before them.
    """
    if placed.rule.locked and placed.document is not whole.document:
        return 0, 0
    return 1 if placed.rule.locked else 2, -placed.rule.priority


def _add_lists(whole: Whole) -> None:
    document = whole.document
    own = document.file.lists
    for name in own:
        place: Place = ("lists", name)
        if name.startswith("negated_"):
            raise document.error(
                place, f"a list is called {name!r}, but names in negated_ are facts", "rename it"
            )
    whole.groups = {
        key: TermGroup(group.lists, group.kept - own.keys()) for key, group in whole.groups.items()
    }
    whole.lists |= own
    for name, each in whole.lists.items():
        if each.people and f"one_{name}" in whole.lists:
            raise document.error(
                ("lists",),
                f"a list is called 'one_{name}', which is a fact of the list {name!r} of people",
                f"rename the list 'one_{name}'",
            )
    check_words(document, whole.lists)
    if any(each.kind != "words" for each in own.values()):  # words alone find nothing
        together = {name: whole.lists[name] for name in with_named(own, whole.lists)}
        whole.groups[document.source, document.text] = TermGroup(together, frozenset(own))


def _digest(text: str, imported: Iterable[Whole]) -> str:
    """Identity of a text with what it includes; without imports, the SHA-256 of the text."""
    own = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    digests = [own, *(other.digest for other in imported)]
    if len(digests) == 1:
        return own
    whole = "\n".join(["imports", *digests])
    return f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"
