"""What reports say of themselves, and that none takes the place of another."""

import hashlib
import json
import platform
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from safegen.audit.ledger.event import VERSION
from safegen.errors import InputError, OutputError

REPORT, PAGE = "report.json", "report.html"
_ELSEWHERE = "choose another folder with --out"
_OF_THE_MACHINE = ("safegen", "machine", "torch")


def made_by(command: str, policy: str, model: str, seed: int) -> dict[str, Any]:
    """What was asked for, to which a command adds its own options, and where it was done."""
    return {
        "command": command,
        "policy": policy,
        "model": model,
        "seed": seed,
        "safegen": VERSION,
        "machine": platform.machine(),
    }


def with_digests(files: Mapping[str, Path | None]) -> dict[str, str]:
    """Paths by their names, with the digests of those that are files; "none" if not given.

    Raises:
        InputError: one cannot be read.
    """
    try:
        return {
            name: f"{path} {digest(path.read_bytes())}"
            if path and path.is_file()
            else str(path or "none")
            for name, path in files.items()
        }
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}") from error


def digest(content: bytes) -> str:
    """sha256:… of a file's bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def require_same(
    folder: Path,
    about: Mapping[str, Any],
    kept: str = "",
    measured: Collection[tuple[str, str]] = (),
) -> None:
    """See to it that a run in `folder` takes the place of nothing but its own earlier report.

    Args:
        folder: where the report goes.
        about: what this run's report will say of itself.
        kept: a file beside it that people may have changed; its digest is in the report.
        measured: the protocols and subjects of whose results this run's report will tell.

    Raises:
        OutputError: the report there was asked for in another way, or has results that this one
            will not have, or the file is not as the former run wrote it.
    """
    report = _report(folder / REPORT)
    there = report.get("about", {})
    files = f"{REPORT}, {PAGE} and {kept}" if kept else f"{REPORT} and {PAGE}"
    elsewhere = f"move {files} elsewhere, or {_ELSEWHERE}"
    for each in about:
        if each in there and there[each] != about[each] and each not in _OF_THE_MACHINE:
            name, before, now = _difference(each, there[each], about[each])
            raise OutputError(
                f"the folder {folder} holds the report of another {name}: {before}, not {now}",
                elsewhere,
            )
    lost = [
        f"{protocol} of {subject}"
        for protocol, subjects in report.get("results", {}).items()
        for subject in subjects
        if (protocol, subject) not in measured
    ]
    if lost:
        raise OutputError(
            f"the folder {folder} holds the report of more than is asked for, which would be lost: "
            f"{', '.join(lost)}",
            f"ask for it too, for answers are kept, or {elsewhere}",
        )
    file = folder / kept
    if kept and file.exists() and digest(file.read_bytes()) != there.get(kept):
        raise OutputError(
            f"{file} is not as an earlier run wrote it, and would be replaced",
            f"move it elsewhere, or {_ELSEWHERE}",
        )


def _difference(name: str, before: Any, now: Any) -> tuple[str, Any, Any]:
    """What differs within two settings, as near as it has a name."""
    if isinstance(before, dict) and isinstance(now, dict):
        for each in now:
            if each in before and before[each] != now[each]:
                return _difference(each, before[each], now[each])
    return name, before, now


def _report(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return {"about": dict(found["about"]), "results": dict(found.get("results", {}))}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise OutputError(
            f"{path} is no report of this command, and would be replaced", _ELSEWHERE
        ) from error
