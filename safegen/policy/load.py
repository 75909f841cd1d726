"""Read a policy file; every mistake is an error with file:line:column, the reason and the mend."""

import difflib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from safegen.errors import PolicyError
from safegen.nouns import Check, Context, Reaction
from safegen.policy.schema import Case, Fair, Metadata, PolicyFile, Reason, Rule, Steer, Then
from safegen.risk.build import SETTINGS
from safegen.risk.terms import TermList

_MODELS = (
    PolicyFile, Metadata, TermList, Rule, Then, Reason, Steer, Fair, Case, Check, Reaction, Context,
    *SETTINGS,
)  # fmt: skip
_KEYS = sorted({key for model in _MODELS for key in model.model_fields})
_MAX_CHARACTERS = 2_000_000
_UNKNOWN_KEY = "extra_forbidden"


def find_policy(name: str | Path) -> tuple[str, str]:
    """Text and source of a policy: a file, or a shipped pack by name.

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
    try:
        return Path(name).read_text(encoding="utf-8"), str(name)
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(
            f"cannot read the policy: {error}",
            source=str(name),
            mend=f"give a YAML file, or a shipped pack: {', '.join(sorted(packs))}",
        ) from error


def parse_policy(text: str, source: str) -> tuple[PolicyFile, Any]:
    """The policy in `text`, and its YAML tree, which knows where everything stands.

    Raises:
        PolicyError: it is not YAML, or not a policy.
    """
    if len(text) > _MAX_CHARACTERS:
        raise PolicyError(
            f"the file has {len(text)} characters, expected at most {_MAX_CHARACTERS}",
            source=source,
        )
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = str(error.problem or error).split("\n")[0]
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise PolicyError(reason, source=source, line=line, column=column) from error
    except YAMLError as error:
        raise PolicyError(f"not YAML: {error}", source=source) from error
    if not isinstance(tree, CommentedMap):
        raise PolicyError(
            f"the file holds {type(tree).__name__}, expected a mapping",
            source=source,
            line=1,
            column=1,
            mend="start with `apiVersion: safegen/v1`",
        )
    try:
        return PolicyFile.model_validate(_plain(tree, set(), source)), tree
    except ValidationError as error:
        # A misspelt key comes with "the right one is missing": name the misspelling.
        errors = sorted(error.errors(include_url=False), key=lambda e: e["type"] != _UNKNOWN_KEY)
        raise _explained(errors[0], tree, source) from error


def position(tree: Any, path: tuple[str | int, ...]) -> tuple[int, int]:
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


def _explained(error: Any, tree: Any, source: str) -> PolicyError:
    path = _in_file(tree, error["loc"])
    parent_name = ".".join(str(part) for part in path[:-1]) or "the policy"
    line, column = position(tree, path)
    if error["type"] == _UNKNOWN_KEY:
        parent = tree
        for part in path[:-1]:
            parent = parent[part]
        row, col = parent.lc.key(path[-1])
        near = difflib.get_close_matches(str(path[-1]), _KEYS, n=1)
        return PolicyError(
            f"unknown key {path[-1]!r} in {parent_name}",
            source=source,
            line=row + 1,
            column=col + 1,
            mend=f"did you mean {near[0]!r}?" if near else "remove it",
        )
    if error["type"] == "missing":
        reason = f"{path[-1]!r} is missing in {parent_name}"
    else:
        name = ".".join(str(part) for part in path) or "the policy"
        reason = f"{name}: {error['msg'].removeprefix('Value error, ')}"
        if error["type"] != "value_error":
            reason += f", got {error['input']!r}"
    return PolicyError(reason, source=source, line=line, column=column)


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
        return {str(key): _plain(value, seen, source) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return tuple(_plain(value, seen, source) for value in node)
    if isinstance(node, bool):
        return node
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node
