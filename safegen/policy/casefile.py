"""Policy files that hold nothing but test cases of another policy."""

import io
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

_PATH = "# The path of the policy's file from this one's folder; put it right if it is elsewhere.\n"


def case_file(
    name: str,
    policy: str,
    cases: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    head: Iterable[str] = (),
    foot: Iterable[str] = (),
) -> str:
    """A policy file called `name` that imports `policy` and tests it; all of it is ASCII.

    Args:
        name: of the file.
        policy: under test: a shipped pack by name, or the path of a file.
        cases: test cases as a policy file has them, each with a comment in ASCII.
        head: comments at the top.
        foot: comments at the end.
    """
    tests = [f"{_comment(about)}{_yaml([dict(case)])}" for about, case in cases]
    return "".join(
        [
            *map(_comment, head),
            _yaml({"apiVersion": "safegen/v1", "metadata": {"name": name, "version": "1"}}),
            "" if is_shipped(policy) else _PATH,
            _yaml({"imports": [policy]}),
            *(["tests:\n", *tests] if tests else ["tests: []\n"]),
            *map(_comment, foot),
        ]
    )


def _comment(line: str) -> str:
    return f"# {' '.join(line.splitlines())}\n"


def is_shipped(policy: str) -> bool:
    """Whether it is the name of a pack that comes with SafeGen."""
    return (
        re.fullmatch(r"[a-z][a-z-]*", policy) is not None
        and (files("safegen.policies") / f"{policy}.yaml").is_file()
    )


def _yaml(value: Any) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    buffer = io.StringIO()
    yaml.dump(value, buffer)
    return buffer.getvalue()
