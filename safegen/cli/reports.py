"""What reports say of themselves, and that none takes the place of another."""

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safegen.errors import InputError, OutputError

REPORT = "report.json"
_ELSEWHERE = "choose another folder with --out"
_SAME = ("command", "policy", "model", "seed")


def made_by(command: str, policy: str, model: str, seed: int) -> dict[str, Any]:
    """What a second run in a folder must have in common with the first, and who made it."""
    return {
        "command": command,
        "policy": policy,
        "model": model,
        "seed": seed,
        "safegen": version("safegen"),
        "machine": platform.machine(),
    }


def with_digests(files: Mapping[str, Path]) -> dict[str, str]:
    """Paths by their names, with the digests of those that are files.

    Raises:
        InputError: one cannot be read.
    """
    try:
        return {
            name: f"{path} {digest(path.read_bytes())}" if path.is_file() else str(path)
            for name, path in files.items()
        }
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}") from error


def digest(content: bytes) -> str:
    """sha256:… of a file's bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def require_same(folder: Path, about: Mapping[str, Any], kept: str = "") -> None:
    """See to it that a run in `folder` takes the place of nothing but its own earlier report.

    Args:
        folder: where the report goes.
        about: what this run's report will say of itself.
        kept: a file beside it that people may have changed; its digest is in the report.

    Raises:
        OutputError: the report there is of another policy, model or seed, or the file is not as
            the former run wrote it.
    """
    there = _about(folder / REPORT)
    for name in _SAME:
        if name in there and there[name] != about[name]:
            raise OutputError(
                f"the folder {folder} holds the report of another {name}: "
                f"{there[name]}, not {about[name]}",
                _ELSEWHERE,
            )
    file = folder / kept
    if kept and file.exists() and digest(file.read_bytes()) != there.get(kept):
        raise OutputError(
            f"{file} is not as an earlier run wrote it, and would be replaced",
            f"move it elsewhere, or {_ELSEWHERE}",
        )


def _about(report: Path) -> dict[str, Any]:
    if not report.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(report.read_bytes())["about"]
        return dict(found)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise OutputError(
            f"{report} is no report of this command, and would be replaced", _ELSEWHERE
        ) from error
