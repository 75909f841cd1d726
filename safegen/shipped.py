"""Weights that come with SafeGen: the `card.json` in each folder of them says what they must be."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CARD = "card.json"
REINSTALL = "pip install --force-reinstall --no-deps safegen"


def write_card(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the card of the weights in a folder, once they are all there: facts and sums."""
    card = {**facts, "sha256": sums(folder)}
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n")


def sums(folder: Path) -> dict[str, str]:
    """The sha256 of each file of weights and settings below a folder, for its card."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if path != folder / CARD and path.suffix != ".md"
    }


def damage(folder: Path) -> str:
    """What is wrong with the weights in a folder; empty if they are those that its card names.

    Weights that load are not yet those that were measured: half of them may be zeros.
    """
    try:
        card = json.loads((folder / CARD).read_bytes())
        expected, found = card["sha256"], sums(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"cannot read the weights in {folder}: {type(error).__name__}: {error}"
    wrong = [
        f"expected {name} with sha256 {wanted}, found {found.get(name, 'no such file')}"
        for name, wanted in expected.items()
        if found.get(name) != wanted
    ]
    return f"the weights in {folder} are damaged: {'; '.join(wrong)}" if wrong else ""
