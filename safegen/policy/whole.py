"""A policy with everything that it imports: what stands in force, and where it is written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from safegen.errors import PolicyError
from safegen.nouns import AnyCheck, Reaction
from safegen.policy.conditions import variables_in
from safegen.policy.load import Document
from safegen.policy.schema import (
    ContextName,
    DetectorUse,
    EarlyLook,
    KnownValues,
    PolicyFile,
    Recording,
    Rule,
)
from safegen.policy.tree import Place, position
from safegen.risk.build import Settings
from safegen.risk.lists import NAMED, TermList, may_be_about

Key = tuple[str, str]  # source and text of a document: the same text elsewhere may import others


@dataclass(frozen=True)
class PlacedRule:
    """A rule, and where it is written."""

    rule: Rule
    document: Document
    place: Place

    def error(self, place: Place, reason: str, mend: str | None = None) -> PolicyError:
        """An error about a part of the rule."""
        return self.document.error((*self.place, *place), f"rule {self.rule.id!r}: {reason}", mend)

    def in_condition(self, line: int, column: int) -> tuple[int, int]:
        """Where in the document a place of the condition stands; both count from 1.

        Of one line, the condition stands behind its key; of several, below it ("when: |"). If it
        is not there as it is read, its start.
        """
        start = position(self.document.tree, (*self.place, "when"))
        lines = self.document.text.splitlines()
        read = self.rule.when.rstrip("\n").split("\n")
        number, first = (start[0] + line, 0) if len(read) > 1 else (start[0], start[1] - 1)
        written, wanted = "".join(lines[number - 1 : number]), "".join(read[line - 1 : line])
        at = written.find(wanted, first) if wanted else -1
        return (number, at + column) if at >= 0 else start


@dataclass(frozen=True)
class TermGroup:
    """Lists that are matched together, and the names of those whose findings count.

    Each document's lists are a group of their own, for words of other lists beside them could move
    the reach of a negation: an imported list finds in a prompt what it finds without the importer.
    """

    lists: Mapping[str, TermList]
    kept: frozenset[str]


@dataclass
class Whole:
    """A policy with everything that it imports."""

    document: Document
    digest: str = ""
    rules: dict[str, PlacedRule] = field(default_factory=dict)
    classifiers: dict[str, Settings] = field(default_factory=dict)
    context: dict[ContextName, KnownValues] = field(default_factory=dict)
    lists: dict[str, TermList] = field(default_factory=dict)
    groups: dict[Key, TermGroup] = field(default_factory=dict)
    checks: tuple[AnyCheck, ...] = ()
    detectors: dict[str, DetectorUse] = field(default_factory=dict)
    ladder: tuple[Reaction, ...] = ()
    early_look: EarlyLook | None = None
    record: Recording | None = None
    documents: dict[Key, Document] = field(default_factory=dict)
    # By identity: what stands in an import, and another that has it from there has replaced.
    replaced: dict[int, object] = field(default_factory=dict)

    @property
    def file(self) -> PolicyFile:
        """The whole as if it stood in one file; the tests are those of the importing policy."""
        return self.document.file.model_copy(
            update={
                "classifiers": self.classifiers,
                "context": self.context,
                "lists": self.lists,
                "rules": tuple(placed.rule for placed in self.rules.values()),
                "checks": self.checks,
                "detectors": self.detectors,
                "ladder": self.ladder,
                "early_look": self.early_look,
                "record": self.record or Recording(),
            }
        )

    def terms_name(self, key: Key) -> str:
        """What the lists of one document are called as a classifier."""
        document = self.documents[key]
        of = document.file.metadata
        return "terms" if document is self.document else f"terms of {of.name} {of.version}"


def lists_of(rule: Rule) -> set[str]:
    """The lists, and other scores and facts, that a rule reads."""
    followed = {steer.follow for steer in (*rule.then.steer, rule.then.fair) if steer}
    parts = (variable.split(".") for variable in variables_in(rule.when))
    read = {name for kind, name in parts if kind != "request"}
    # Or a score of a classifier's own, of the same name.
    return {*chain.from_iterable(map(may_be_about, read)), *(n for n in followed if n)}


def with_named(names: Iterable[str], lists: Mapping[str, TermList]) -> list[str]:
    """These lists and those that their words name, in a fixed order."""
    found: dict[str, None] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in lists and name not in found:
            found[name] = None
            each = lists[name]
            waiting += NAMED.findall(" ".join(each.written))
    return sorted(found)
