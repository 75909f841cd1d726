"""Read YAML into a tree that knows where everything in it stands.

libyaml finds the structure, so that the largest file is read in a few seconds; what a plain scalar
means is YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema). What a policy has no
use for and an attacker has, aliases, merges and tags, is refused; and an anchor of a text, which
may be meant as a part of it.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from safegen.errors import PolicyError

_MAX_DEPTH = 40
_LONGEST = 200  # characters that a mend repeats
_MAX_DIGITS = 300  # an integer that no float can hold is as good as infinite
# Wheels of PyYAML hold libyaml; where it was built without, its slower parser in Python reads.
_Events: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_WORDS = {word: value for name, value in (("true", True), ("false", False), ("null", None))
          for word in (name, name.capitalize(), name.upper())} | {"~": None, "": None}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BEFORE_COMMA = re.compile(r"(?<![\w.])([-+]?[0-9]+),\Z")
_BASES = {"0o": 8, "0x": 16}
# What libyaml says of a text that needs quotes: of ": " in it, and of a sign that it begins with.
_UNQUOTED = {
    "mapping values are not allowed": "put the text in quotes if it holds a colon, or indent the "
    "line as its neighbours",
    "expected ',' or": "put the text in quotes if it holds a colon, or close the bracket",
    "that cannot start any token": "put the text in quotes, for it begins with a sign of YAML's",
    "expected alphabetic or numeric character": "put the text in quotes, for it holds ! or & or *, "
    "signs of YAML's",
}

Place: TypeAlias = tuple[str | int, ...]
"""Where in a document: keys and numbers, from its top."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value, and where it begins; `keys` are the places of a mapping's keys, from 1."""

    line: int
    column: int
    value: "str | int | float | bool | dict[str, Node] | list[Node] | None"
    keys: dict[str, tuple[int, int]] | None = None

    def at(self, part: str | int) -> "Node | None":
        """The value of a key, or the item of a number, if there is one."""
        if isinstance(self.value, dict) and isinstance(part, str):
            return self.value.get(part)
        if isinstance(self.value, list) and isinstance(part, int) and part < len(self.value):
            return self.value[part]
        return None

    def plain(self) -> Any:
        """As dicts, tuples and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return tuple(node.plain() for node in self.value)
        return self.value


def read_tree(text: str, source: str) -> Node:
    """The one document that `text` holds.

    Raises:
        PolicyError: it is not YAML, or holds what is refused, with file:line:column.
    """
    try:
        text.encode()
        return _Reader(text, source).document()
    except UnicodeEncodeError as error:
        raise PolicyError("the text holds half a character", source=source) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        reason = str(error.problem or error.context)
        mend = next((how for said, how in _UNQUOTED.items() if said in reason), None)
        lines = text.splitlines()[mark.line : mark.line + 1] if mark else []
        if any(each.lstrip(" ").startswith("\t") for each in lines):
            reason, mend = "a line begins with a tab", "indent with spaces: YAML takes no tabs"
        raise PolicyError(reason, source=source, line=line, column=column, mend=mend) from error
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", str(error))
        raise PolicyError(f"not YAML: {reason}", source=source) from error


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._text = text
        self._events = _Events(text)

    def document(self) -> Node:
        self._events.get_event()  # the stream's start
        start = self._events.get_event()
        if isinstance(start, yaml.StreamEndEvent):
            return Node(1, 1, None)
        tree = self._node(self._events.get_event(), 0)
        self._events.get_event()  # the document's end
        if not isinstance(more := self._events.get_event(), yaml.StreamEndEvent):
            raise self._error(more, "but found another document", "put each into a file of its own")
        return tree

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            raise self._error(
                event,
                "an alias (*name) repeats a part of the file",
                "write it out where it is needed, or put a text that begins with * in quotes",
            )
        if event.tag is not None:
            raise self._unquoted(event, "tag", event.tag)
        scalar = isinstance(event, yaml.ScalarEvent)
        if scalar and event.anchor is not None:
            raise self._unquoted(event, "anchor", f"&{event.anchor}")
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if scalar:
            return Node(line, column, _meant(event.value) if event.implicit[0] else event.value)
        if depth >= _MAX_DEPTH:
            raise self._error(event, f"the file is nested deeper than {_MAX_DEPTH}")
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := self._events.get_event(), yaml.SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return Node(line, column, items)
        values: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        while not isinstance(event := self._events.get_event(), yaml.MappingEndEvent):
            key = self._key(event, depth, values)
            keys[key] = event.start_mark.line + 1, event.start_mark.column + 1
            values[key] = self._node(self._events.get_event(), depth + 1)
        return Node(line, column, values, keys)

    def _key(self, event: Any, depth: int, known: dict[str, Node]) -> str:
        key = self._node(event, depth + 1).value
        if key == "<<" and event.implicit[0]:
            raise self._error(
                event,
                "a mapping merges another part of the file with <<, expected words as keys",
                "write it out where it is needed",
            )
        if not isinstance(key, str):
            told = "a list or mapping" if isinstance(key, dict | list) else repr(key)
            mend, before = f'write it in quotes: "{told}"', 0
            # Between braces the comma of 0,5 ends a value: the rest of the number is a key.
            if isinstance(key, int) and (number := self._before_comma(event)):
                mend, before = f"write {number}.{event.value}, with a point", len(number) + 1
            reason = f"a mapping has the key {told}, expected words as keys"
            raise self._error(event, reason, mend, before)
        if key in known:
            raise self._error(event, f"found duplicate key {key[:60]!r}", "keep one of them")
        return key

    def _unquoted(self, event: Any, what: str, sign: str) -> PolicyError:
        """An error about a value that begins with ! or &, as a text may well be meant to."""
        written = self._text[event.start_mark.index : event.end_mark.index].strip()
        text = isinstance(event, yaml.ScalarEvent) and written[:2] != "!!"
        fit = len(written) <= _LONGEST and "\n" not in written
        # Without its "!", `!fact.job` would be a condition that holds where this one does not.
        mend = f"put a text in quotes: {in_quotes(written)}" if text and fit else "leave it away"
        return self._error(event, f"the value has the {what} {sign[:60]!r}, expected none", mend)

    def _before_comma(self, event: Any) -> str:
        """The whole number that stands, with a comma and nothing else, before an event."""
        found = _BEFORE_COMMA.search(self._text[: event.start_mark.index])
        return found.group(1) if found else ""

    def _error(
        self, event: Any, reason: str, mend: str | None = None, before: int = 0
    ) -> PolicyError:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1 - before
        return PolicyError(reason, source=self._source, line=line, column=column, mend=mend)


def _meant(text: str) -> str | int | float | bool | None:
    """What a scalar without quotes is."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            return -math.inf if text[0] == "-" else math.inf
        return int(text, _BASES.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _INFINITE.fullmatch(text):
        return float(special.group(0).replace(".", "").lower())
    return text


def in_quotes(text: str) -> str:
    """A text on one line as YAML takes it, whatever it holds."""
    return "'" + text.replace("'", "''") + "'"


def position(tree: Node, path: Place) -> tuple[int, int]:
    """Line and column, from 1, of the value at `path`, or of its nearest parent that exists."""
    for part in path:
        if (inner := tree.at(part)) is None:
            break
        tree = inner
    return tree.line, tree.column


def key_position(tree: Node, path: Place) -> tuple[int, int]:
    """Line and column, from 1, of the key that the path ends in."""
    for part in path[:-1]:
        tree = tree.at(part) or tree
    return (tree.keys or {}).get(str(path[-1]), (tree.line, tree.column))
