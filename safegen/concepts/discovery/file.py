"""The concept file: what a concept is, in prompts; mistakes are told with file:line:column."""

import itertools
import string
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from safegen.concepts.discovery.spec import ConceptSpec, PromptPair
from safegen.concepts.names import NAME, wrong_with
from safegen.errors import InputError, PolicyError, did_you_mean
from safegen.nouns import Frozen
from safegen.policy.load import decoded, parse_yaml
from safegen.policy.tree import Node, Place, key_position, position
from safegen.steering.site import MID_BLOCK


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("expected words, got only blanks")
    return text


_Text = Annotated[str, Field(min_length=1), AfterValidator(_not_blank)]
_Texts = Annotated[
    tuple[_Text, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
]
_Name = Annotated[str, Field(pattern=NAME)]
_Word = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]  # between braces


class _Pair(Frozen):
    neutral: _Texts
    target: _Texts
    avoid: _Texts | None = None


class _Concept(Frozen):
    pairs: tuple[_Pair, ...] = Field(min_length=1)
    held_out: tuple[_Pair, ...] | None = Field(default=None, min_length=1)
    sites: tuple[_Text, ...] = Field(default=(MID_BLOCK,), min_length=1)
    guidance: float = Field(default=3.0, gt=0, allow_inf_nan=False)


class _File(Frozen):
    words: dict[_Word, tuple[_Text, ...]] = {}
    held_out: dict[_Word, tuple[_Text, ...]] = {}
    unrelated: tuple[_Text, ...] = ()
    groups: dict[_Name, tuple[_Name, ...]] = {}
    concepts: dict[_Name, _Concept] = Field(min_length=1)


class Concepts(Frozen):
    """The concepts of a file, and those that are learned as one attribute group."""

    specs: dict[str, ConceptSpec]
    groups: dict[str, tuple[str, ...]]

    def units(self, names: Iterable[str]) -> list[list[ConceptSpec]]:
        """`names` as they are learned: with the rest of their group, or alone."""
        units: dict[tuple[str, ...], None] = {}
        for name in names:
            group = next((each for each in self.groups.values() if name in each), (name,))
            units[group] = None
        return [[self.specs[name] for name in unit] for unit in units]


def load_concepts(path: Path) -> Concepts:
    """Read a concept file; every `{placeholder}` of a pair is filled with each of its words.

    Raises:
        InputError: the file cannot be read or does not say what it must; names line and column.
    """
    try:
        text = decoded(path.read_bytes(), str(path))
        file, tree = parse_yaml(text, str(path), _File, _schema, "the concept file", "words:")
        return _Reader(file, tree, str(path)).concepts()
    except OSError as error:
        raise InputError(
            f"cannot read the concept file {path}: {error.strerror}", "give a YAML file"
        ) from error
    except PolicyError as error:
        raise InputError(error.message, error.mend or "see: safegen docs concepts") from error


@cache
def _schema() -> Mapping[str, Any]:
    return _File.model_json_schema()


class _Reader:
    """One file while its rules between parts are checked."""

    def __init__(self, file: _File, tree: Any, source: str) -> None:
        self._file, self._tree, self._source = file, tree, source

    def concepts(self) -> Concepts:
        file = self._file
        for kind in ("words", "held_out"):
            for word, values in getattr(file, kind).items():
                if not values:
                    raise self._error((kind, word), f"{kind}.{word} is empty", "give it words")
        for word, values in file.held_out.items():
            if word not in file.words:
                raise self._error(
                    ("held_out", word),
                    f"held_out.{word} has no counterpart in words",
                    did_you_mean(word, file.words),
                )
            for number, value in enumerate(values):
                if value in file.words[word]:
                    raise self._error(
                        ("held_out", word, number),
                        f"{value!r} is among the words that are learned from",
                        "take it out of one of the two lists",
                    )
        for number, prompt in enumerate(file.unrelated):
            if {*"{}"} & {*prompt}:
                raise self._error(
                    ("unrelated", number),
                    f"{prompt!r} has braces, but nothing is filled into unrelated prompts",
                    "write each of them out",
                )
        for number, name in enumerate(names := [*file.concepts]):
            if reason := wrong_with(name, names[:number]):
                raise self._error(
                    ("concepts", name), reason, "choose another name", at=key_position
                )
        specs = {name: self._spec(name, concept) for name, concept in file.concepts.items()}
        self._check_groups(specs)
        return Concepts(specs=specs, groups=file.groups)

    def _spec(self, name: str, concept: _Concept) -> ConceptSpec:
        place: Place = ("concepts", name)
        pairs = self._filled(concept.pairs, self._file.words, (*place, "pairs"))
        held_out: list[PromptPair] = []
        if concept.held_out:
            words = self._file.words | self._file.held_out
            held_out = self._filled(concept.held_out, words, (*place, "held_out"))
            if learned := next((pair for pair in held_out if pair in pairs), None):
                raise self._error(
                    (*place, "held_out"),
                    f"{learned.target!r} is learned from too, so that it measures nothing",
                    "give pairs that are not among those learned from",
                )
        elif self._file.held_out:
            words = self._file.words | self._file.held_out
            held_out = self._filled(concept.pairs, words, (*place, "pairs"))
        return ConceptSpec(
            name=name,
            pairs=tuple(pairs),
            held_out=tuple(pair for pair in held_out if pair not in pairs),
            sites=concept.sites,
            guidance=concept.guidance,
            unrelated=self._file.unrelated,
        )

    def _filled(
        self, pairs: Iterable[_Pair], words: Mapping[str, tuple[str, ...]], place: Place
    ) -> list[PromptPair]:
        """Every pair with every combination of its texts and words, each once."""
        filled: dict[PromptPair, None] = {}
        for number, pair in enumerate(pairs):
            roles = {"neutral": pair.neutral, "target": pair.target, "avoid": pair.avoid or ("",)}
            for texts in itertools.product(*roles.values()):
                used = dict.fromkeys(
                    name
                    for role, text in zip(roles, texts, strict=True)
                    for name in self._placeholders(text, words, (*place, number, role))
                )
                for choice in itertools.product(*(words[name] for name in used)):
                    values = dict(zip(used, choice, strict=True))
                    neutral, target, avoid = (text.format(**values) for text in texts)
                    self._check_apart(neutral, target, avoid, (*place, number))
                    filled[PromptPair(neutral=neutral, target=target, avoid=avoid)] = None
        return list(filled)

    def _check_apart(self, neutral: str, target: str, avoid: str, place: Place) -> None:
        """Refuse a pair, as it is once filled, that says nothing of a concept."""
        if target == avoid:
            raise self._error(
                place,
                f"target and avoid are the same, {target!r}",
                "say in avoid what must not come out",
            )
        if target == neutral and not avoid:
            raise self._error(
                place,
                f"neutral and target are the same, {target!r}",
                "say in target what the concept adds, or in avoid what it takes away",
            )

    def _placeholders(
        self, text: str, words: Mapping[str, tuple[str, ...]], place: Place
    ) -> list[str]:
        try:
            fields = [field[1:] for field in string.Formatter().parse(text)]
        except ValueError as error:
            raise self._error(place, f"{text!r}: {error}", "write {{ for a brace") from error
        names = []
        for name, layout, conversion in fields:
            if name is None:
                continue
            names.append(name)
            if layout or conversion:
                raise self._error(
                    place, f"{{{name}}} in {text!r} says how to write it", f"write {{{name}}} alone"
                )
            if name not in words:
                mend = did_you_mean(name, words) if words else "declare it under words"
                raise self._error(place, f"unknown placeholder {{{name}}} in {text!r}", mend)
        return names

    def _check_groups(self, specs: Mapping[str, ConceptSpec]) -> None:
        owner: dict[str, str] = {}
        for group, members in self._file.groups.items():
            if len(members) < 2:
                raise self._error(
                    ("groups", group), f"the group {group} has fewer than two concepts", None
                )
            for number, member in enumerate(members):
                place: Place = ("groups", group, number)
                if member not in specs:
                    mend = did_you_mean(member, specs)
                    raise self._error(place, f"the group {group} has no concept {member!r}", mend)
                if member in owner:
                    raise self._error(
                        place, f"{member!r} is in the group {owner[member]} too", None
                    )
                if specs[member].sites != specs[members[0]].sites:
                    raise self._error(
                        place, f"{member!r} and {members[0]!r} are learned at unlike sites", None
                    )
                owner[member] = group

    def _error(
        self,
        place: Place,
        reason: str,
        mend: str | None,
        at: Callable[[Node, Place], tuple[int, int]] = position,
    ) -> PolicyError:
        line, column = at(self._tree, place)
        return PolicyError(reason, source=self._source, line=line, column=column, mend=mend)
