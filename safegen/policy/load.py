"""Read a policy file; every mistake is an error with file:line:column, the reason and the mend."""

import difflib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from safegen.errors import PolicyError
from safegen.nouns import Check, Context, Reaction
from safegen.policy.schema import (
    Case,
    Fair,
    Metadata,
    PolicyFile,
    Reason,
    Rule,
    Steer,
    Then,
)
from safegen.risk.terms import TermList

_MODELS = (
    PolicyFile, Metadata, TermList, Rule, Then, Reason, Steer, Fair, Case, Check, Reaction, Context,
)  # fmt: skip
_KEYS = sorted({key for model in _MODELS for key in model.model_fields})


def find_policy(name: str | Path) -> tuple[str, str]:
    """Text and source of a policy: a file, or a shipped pack by name.

    Raises:
        PolicyError: there is neither.
    """
    packs = files("safegen.policies")
    pack = packs / f"{name}.yaml"
    if "/" not in str(name) and pack.is_file():
        return pack.read_text(encoding="utf-8"), f"{name}.yaml"
    try:
        return Path(name).read_text(encoding="utf-8"), str(name)
    except (OSError, UnicodeDecodeError) as error:
        known = sorted(p.name[:-5] for p in packs.iterdir() if p.name.endswith(".yaml"))
        raise PolicyError(
            f"cannot read the policy: {error}",
            source=str(name),
            mend=f"give a YAML file, or a shipped pack: {', '.join(known)}",
        ) from error


def parse_policy(text: str, source: str) -> tuple[PolicyFile, Any]:
    """The policy in `text`, and its YAML tree, which knows where everything stands.

    Raises:
        PolicyError: it is not YAML, or not a policy.
    """
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = str(error.problem or error).split("\n")[0]
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise PolicyError(reason, source=source, line=line, column=column) from error
    if not isinstance(tree, dict):
        raise PolicyError(
            f"the file holds {type(tree).__name__}, expected a mapping", source=source, line=1,
            column=1, mend="start with `apiVersion: safegen/v1`",
        )  # fmt: skip
    try:
        return PolicyFile.model_validate(_plain(tree)), tree
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _explained(first, tree, source) from error


def position(tree: Any, path: tuple[str | int, ...]) -> tuple[int, int]:
    """Line and column, from 1, of the value at `path`, or of its nearest parent that exists."""
    line, column = tree.lc.line, tree.lc.col
    for key in path:
        if not hasattr(tree, "lc") or not _has(tree, key):
            break
        try:
            line, column = tree.lc.value(key) if isinstance(tree, dict) else tree.lc.item(key)
        except KeyError:
            break
        tree = tree[key]
    return line + 1, column + 1


def _explained(error: Any, tree: Any, source: str) -> PolicyError:
    path = tuple(part for part in error["loc"] if not str(part).startswith("function-"))
    name = ".".join(str(part) for part in path)
    line, column = position(tree, path)
    mend = None
    reason = f"{name}: {error['msg'].removeprefix('Value error, ')}"
    if error["type"] == "extra_forbidden":
        key = str(path[-1])
        parent = tree
        for part in path[:-1]:
            parent = parent[part]
        row, col = parent.lc.key(key)
        line, column = row + 1, col + 1
        reason = f"unknown key {key!r} in {'.'.join(map(str, path[:-1])) or 'the policy'}"
        near = difflib.get_close_matches(key, _KEYS, n=1)
        mend = f"did you mean {near[0]!r}?" if near else "remove it"
    elif error["type"] == "missing":
        reason = f"{name} is missing"
    elif error["type"] not in ("value_error",):
        reason += f", got {error['input']!r}"
    return PolicyError(reason, source=source, line=line, column=column, mend=mend)


def _has(tree: Any, key: str | int) -> bool:
    return key in tree if isinstance(tree, dict) else isinstance(key, int) and key < len(tree)


def _plain(node: Any) -> Any:
    """The tree as plain dicts, lists and scalars."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return tuple(_plain(value) for value in node)
    if isinstance(node, bool) or node is None:
        return node
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node
