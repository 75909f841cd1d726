"""Read a policy file; every mistake is an error with file:line:column, the reason and the mend."""

import difflib
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scanner import RoundTripScanner

from safegen.errors import PolicyError
from safegen.policy.schema import PolicyFile, json_schema

_MAX_BYTES = 2_000_000
_MAX_DEPTH = 40
_LARGEST = 2**63
_UNKNOWN_KEY = "extra_forbidden"
M = TypeVar("M", bound=BaseModel)
_QUOTED = re.compile(r"'([^']+)'")

Place = tuple[str | int, ...]  # where in a document: keys and numbers, from its top


@dataclass(frozen=True)
class Document:
    """One YAML file of a policy; it knows where everything in it stands."""

    source: str
    text: str
    file: PolicyFile
    tree: Any

    def error(self, path: Place, reason: str, mend: str | None = None) -> PolicyError:
        """An error about what stands at `path`."""
        line, column = position(self.tree, path)
        return PolicyError(reason, source=self.source, line=line, column=column, mend=mend)


def find_policy(name: str | Path, importer: str = "") -> tuple[str, str]:
    """Text and source of a policy: a file, or a shipped pack by name.

    Args:
        name: path of the file or name of the pack.
        importer: source of the policy that imports it; a relative path starts from its folder.

    Raises:
        PolicyError: there is neither.
    """
    packs = {
        pack.name.removesuffix(".yaml"): pack
        for pack in files("safegen.policies").iterdir()
        if pack.name.endswith(".yaml")
    }
    if pack := packs.get(str(name)):
        return pack.read_text(encoding="utf-8"), pack.name
    path = Path(importer).parent / name
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise OSError(f"{path} is no file")
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise PolicyError(
            f"cannot read the policy: {error}",
            source=str(path),
            mend=f"give a YAML file, or a shipped pack: {', '.join(sorted(packs))}",
        ) from error
    return decoded(data, str(path)), str(path)


def decoded(data: bytes, source: str) -> str:
    """The text of a file.

    Raises:
        PolicyError: it is too large, or not UTF-8.
    """
    if len(data) > _MAX_BYTES:
        raise PolicyError(
            f"the file is too large, expected at most {_MAX_BYTES} bytes", source=source
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        raise PolicyError(
            f"the byte {data[error.start]:#04x} is not UTF-8",
            source=source,
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
            mend="save the file as UTF-8",
        ) from error


def parse_policy(text: str, source: str) -> Document:
    """The policy in `text`.

    Raises:
        PolicyError: it is not YAML, or not a policy.
    """
    if len(text) > _MAX_BYTES:
        raise PolicyError(
            f"the text has {len(text)} characters, expected at most {_MAX_BYTES}", source=source
        )
    file, tree = parse_yaml(
        text, source, PolicyFile, _schema, "the policy", "apiVersion: safegen/v1"
    )
    return Document(source, text, file, tree)


def parse_yaml(
    text: str,
    source: str,
    model: type[M],
    schema: Callable[[], Mapping[str, Any]],
    what: str,
    start: str,
) -> tuple[M, Any]:
    """`text` as a `model` whose JSON schema is `schema()`, and its tree, which knows places.

    Raises:
        PolicyError: it is not YAML, or not such a file; the message says `what` it is, and how
            such a file may `start`.
    """
    tree = _tree(text, source)
    if not isinstance(tree, CommentedMap):
        raise PolicyError(
            f"the file holds {type(tree).__name__}, expected a mapping",
            source=source,
            line=1,
            column=1,
            mend=f"start with `{start}`",
        )
    try:
        return model.model_validate(_plain(tree, set(), source)), tree
    except ValidationError as error:
        # A misspelt key comes with "the right one is missing": name the misspelling.
        errors = sorted(error.errors(include_url=False), key=lambda e: e["type"] != _UNKNOWN_KEY)
        raise _explained(errors[0], tree, source, schema(), what) from error


def _tree(text: str, source: str) -> Any:
    yaml = YAML(typ="rt")
    yaml.Scanner = _Scanner
    try:
        text.encode()
        return yaml.load(text)
    except UnicodeEncodeError as error:
        raise PolicyError("the text holds half a character", source=source) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = str(error.problem or error).split("\n")[0]
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise PolicyError(reason, source=source, line=line, column=column) from error
    except Exception as error:  # the parser lets many kinds slip: ValueError, KeyError …
        raise PolicyError(f"not YAML: {reprlib.repr(str(error))}", source=source) from error


class _Scanner(RoundTripScanner):
    """Refuses what is nested deeper than any policy, long before Python's own limit."""

    def fetch_flow_collection_start(self, *args: Any, **options: Any) -> None:
        self._refuse_depth(self.flow_level)
        super().fetch_flow_collection_start(*args, **options)

    def add_indent(self, column: int) -> bool:
        self._refuse_depth(len(self.indents))
        return bool(super().add_indent(column))

    def _refuse_depth(self, depth: int) -> None:
        if depth >= _MAX_DEPTH:
            mark = self.reader.get_mark()
            raise MarkedYAMLError(
                problem=f"the file is nested deeper than {_MAX_DEPTH}", problem_mark=mark
            )


def position(tree: Any, path: Place) -> tuple[int, int]:
    """Line and column, from 1, of the value at `path`, or of its nearest parent that exists."""
    line, column = tree.lc.line, tree.lc.col
    for key in path:
        if not _has(tree, key):
            break
        line, column = tree.lc.value(key) if isinstance(tree, CommentedMap) else tree.lc.item(key)
        tree = tree[key]
    return line + 1, column + 1


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """How to mend an unknown name: the nearest one, or all."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known are: {', '.join(names) or 'none'}"


def _explained(
    error: Any, tree: Any, source: str, schema: Mapping[str, Any], what: str
) -> PolicyError:
    path = _in_file(tree, error["loc"])
    parent_name = ".".join(str(part) for part in path[:-1]) or what
    name = ".".join(str(part) for part in path) or what
    line, column = position(tree, path)
    mend = None
    if error["type"] == _UNKNOWN_KEY:
        reason = f"unknown key {path[-1]!r} in {parent_name}"
        line, column = _key_position(tree, path)
        mend = did_you_mean(str(path[-1]), _keys_at(error["loc"][:-1], schema))
    elif path[-1:] == ("[key]",):
        reason = f"{parent_name}: the name does not fit: {error['msg']}"
        line, column = _key_position(tree, path[:-1])
    elif error["type"] == "missing":
        reason = f"{path[-1]!r} is missing in {parent_name}"
    elif error["type"] == "value_error":
        reason = f"{name}: {error['msg'].removeprefix('Value error, ')}"
    else:
        reason = f"{name}: {error['msg']}, got {reprlib.repr(error['input'])}"
        if isinstance(error["input"], str) and (choices := error.get("ctx", {}).get("expected")):
            mend = did_you_mean(error["input"], _QUOTED.findall(choices))
    return PolicyError(reason, source=source, line=line, column=column, mend=mend)


def _key_position(tree: Any, path: Place) -> tuple[int, int]:
    """Line and column, from 1, of the key that the path ends in."""
    for part in path[:-1]:
        tree = tree[part]
    line, column = tree.lc.key(path[-1])
    return line + 1, column + 1


def _keys_at(path: Place, schema: Mapping[str, Any]) -> Iterable[str]:
    """The keys that the mapping at `path` may have."""
    node: Any = schema
    for part in (*path, None):
        kinds = node.get("discriminator", {}).get("mapping", {})
        if part in kinds:  # pydantic names the kind that it chose
            node = {"$ref": kinds[part]}
            continue
        if chosen := [c for c in node.get("oneOf", ()) if c["$ref"].endswith(f"/{part}")]:
            node = chosen[0]
            continue
        for choice in node.get("anyOf", ()):
            node = choice if "$ref" in choice else node
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        if isinstance(part, int):
            node = node["items"]
        elif part is not None:
            values = [*node.get("patternProperties", {}).values()]
            values += [node["additionalProperties"]] if node.get("additionalProperties") else []
            node = node.get("properties", {}).get(part) or values[0]
    return list(node["properties"])


@cache
def _schema() -> Mapping[str, Any]:
    return json_schema()


def _in_file(tree: Any, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A path of pydantic's without the kind of classifier, which it puts between two keys."""
    kept = []
    for part in path[:-1]:
        if _has(tree, part):
            kept.append(part)
            tree = tree[part]
    return (*kept, *path[-1:])


def _has(tree: Any, key: str | int) -> bool:
    if isinstance(tree, CommentedMap):
        return key in tree
    return isinstance(tree, CommentedSeq) and isinstance(key, int) and key < len(tree)


def _plain(node: Any, seen: set[int], source: str) -> Any:
    """The tree as plain dicts, tuples and scalars.

    An alias is refused: a few nested ones would stand for more than fits into memory.
    """
    if isinstance(node, (CommentedMap, CommentedSeq)):
        if id(node) in seen:
            raise PolicyError(
                "an alias (*name) repeats a part of the file",
                source=source,
                line=node.lc.line + 1,
                column=node.lc.col + 1,
                mend="write it out where it is needed",
            )
        seen.add(id(node))
    if isinstance(node, CommentedMap):
        return {_key(key, node, source): _plain(node[key], seen, source) for key in node}
    if isinstance(node, CommentedSeq):
        return tuple(_plain(value, seen, source) for value in node)
    if isinstance(node, bool):
        return node
    if isinstance(node, int) and abs(node) >= _LARGEST:
        return math.inf if node > 0 else -math.inf  # Python refuses to print the longest integers
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node


def _key(key: object, node: CommentedMap, source: str) -> str:
    if isinstance(key, str) and not node.merge:
        return str(key)
    line, column = node.lc.line, node.lc.col
    what = "merges another part of the file with <<" if node.merge else f"has the key {key!r}"
    raise PolicyError(
        f"a mapping {what}, expected words as keys",
        source=source,
        line=line + 1,
        column=column + 1,
        mend="write it out where it is needed" if node.merge else f'write it in quotes: "{key}"',
    )
