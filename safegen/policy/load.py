"""Read a policy file; every mistake is an error with file:line:column, the reason and the mend."""

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from safegen.errors import PolicyError, did_you_mean
from safegen.policy.schema import PolicyFile, json_schema
from safegen.policy.tree import Node, Place, in_quotes, key_position, position, read_tree

_MAX_BYTES = 2_000_000
_UNKNOWN_KEY = "extra_forbidden"
M = TypeVar("M", bound=BaseModel)
_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+")
_PERCENT = re.compile(r"[0-9]+(?:\.[0-9]+)?%")
_QUOTED = re.compile(r"'([^']+)'")
_MEMBER = re.compile(r"<[\w.]+: ('[^']+')>")
_TYPES = {
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_NAMES = {
    r"^[a-z][a-z0-9_]*$": "small letters, digits and _, a letter first",
    r"^[a-z][a-z0-9_.-]*$": "small letters, digits, _, . and -, a letter first",
}


@dataclass(frozen=True)
class Document:
    """One YAML file of a policy; it knows where everything in it stands."""

    source: str
    text: str
    file: PolicyFile
    tree: Node

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


def identity(text: str, source: str) -> tuple[str, str]:
    """What tells one file of a policy from another: where it is, by whatever path, and its text.

    A link in another folder stays a file of its own, for what it imports is looked for there.
    """
    path = Path(source)
    return str(path.parent.resolve() / path.name), text


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
) -> tuple[M, Node]:
    """`text` as a `model` whose JSON schema is `schema()`, and its tree, which knows places.

    Raises:
        PolicyError: it is not YAML, or not such a file; the message says `what` it is, and how
            such a file may `start`.
    """
    tree = read_tree(text, source)
    if not isinstance(tree.value, dict):
        raise PolicyError(
            f"the file holds {type(tree.value).__name__}, expected a mapping",
            source=source,
            line=1,
            column=1,
            mend=f"start with `{start}`",
        )
    try:
        return model.model_validate(tree.plain()), tree
    except ValidationError as error:
        # A misspelt key comes with "the right one is missing": name the misspelling.
        errors = sorted(error.errors(include_url=False), key=lambda e: e["type"] != _UNKNOWN_KEY)
        raise _explained(errors[0], tree, source, schema(), what) from error


def _explained(
    error: Any, tree: Node, source: str, schema: Mapping[str, Any], what: str
) -> PolicyError:
    path = _in_file(tree, error["loc"])
    parent_name = ".".join(str(part) for part in path[:-1]) or what
    name = ".".join(str(part) for part in path) or what
    line, column = position(tree, path)
    mend = None
    if error["type"] == _UNKNOWN_KEY:
        reason = f"unknown key {path[-1]!r} in {parent_name}"
        line, column = key_position(tree, path)
        mend = did_you_mean(str(path[-1]), _keys_at(error["loc"][:-1], schema))
    elif path[-1:] == ("[key]",):
        reason = f"{parent_name}: the name does not fit: {_told(error)}"
        line, column = key_position(tree, path[:-1])
        mend = _alike(error) or _rewritten(error, schema)
    elif error["type"] == "missing":
        reason = f"{path[-1]!r} is missing in {parent_name}"
    elif error["type"] == "value_error":
        reason = f"{name}: {error['msg'].removeprefix('Value error, ')}"
    else:
        reason = f"{name}: {_told(error)}, got {_given(error['input'])}"
        mend = _alike(error) or _rewritten(error, schema)
    return PolicyError(reason, source=source, line=line, column=column, mend=mend)


def _told(error: Any) -> str:
    """What was expected, in the words of YAML and not of the program that reads it."""
    kind, about = error["type"], error.get("ctx", {})
    if kind in _TYPES:
        return f"expected {_TYPES[kind]}"
    if kind == "too_short":
        least = about["min_length"]
        return f"expected at least {least} item{'s' if least > 1 else ''}"
    if "expected" in about:
        return "expected " + _MEMBER.sub(r"\1", about["expected"])
    if names := _NAMES.get(about.get("pattern", "")):
        return f"expected {names}"
    return str(error["msg"])


def _given(value: Any) -> str:
    """A value as YAML has it: its lists are read as tuples."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    return reprlib.repr(list(value) if isinstance(value, tuple) else value)


def _alike(error: Any) -> str | None:
    """The nearest of the words that are expected, if these are all that may stand there."""
    if isinstance(error["input"], str) and (choices := error.get("ctx", {}).get("expected")):
        return did_you_mean(error["input"], _QUOTED.findall(choices))
    return None


def _rewritten(error: Any, schema: Mapping[str, Any]) -> str | None:
    """How to write what is of another type than expected."""
    kind, given = error["type"], error["input"]
    if kind == "float_parsing" and _COMMA.fullmatch(given):
        return f"write {given.replace(',', '.')}, with a point"
    if kind == "float_parsing" and _PERCENT.fullmatch(given):
        return f"write {float(given[:-1]) / 100:g}"
    if kind == "tuple_type" and isinstance(given, str):
        return _as_list(given)
    if kind == "string_type" and isinstance(given, bool | int | float):
        return "put it in quotes, for without them it is no text"
    if kind == "string_type" and given is None:
        return "write a text; in quotes if it begins with #, which else begins a comment"
    if kind == "string_type" and isinstance(given, dict) and len(given) == 1:
        key, value = next(iter(given.items()))
        return f"put it in quotes: {in_quotes(f'{key}: {value}')}"
    if kind == "string_pattern_mismatch" and given.isascii():
        name = re.sub(r"[^a-z0-9_]+", "_", given.lower()).strip("_")
        return f"write {name}" if re.match(error["ctx"]["pattern"], name) else None
    if kind == "model_type":
        return f"write a mapping; its keys are {', '.join(_keys_at(error['loc'], schema))}"
    return None


def _as_list(text: str) -> str:
    """A text as the list that it was meant as: one item a line, or between commas.

    Words that blanks alone part may be one item or several, as of a column that YAML has folded.
    """
    lines = text.strip().splitlines()
    if len(lines) > 1:
        shown = ", ".join(f"`- {each.strip()}`" for each in lines[:3])
        return f"write a list, one item a line: {shown}{' …' if len(lines) > 3 else ''}"
    if "," not in text and len(text.split()) > 1:
        first = text.split()[0]
        return f"write a list, each item on a line of its own behind a dash: `- {first}` …"
    return f"write a list: [{text.strip()}]"


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


def _in_file(tree: Node, path: Place) -> Place:
    """A path of pydantic's without the kind of classifier, which it puts between two keys."""
    kept = []
    for part in path[:-1]:
        if inner := tree.at(part):
            kept.append(part)
            tree = inner
    return (*kept, *path[-1:])
