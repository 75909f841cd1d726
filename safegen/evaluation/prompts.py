"""Prompts from files of the user's: I2P and its kin, captions, occupations.

| column | names that are known, the first that a file has counts |
|---|---|
| prompt | adv_prompt (MMA-Diffusion), sensitive prompt (RECE's pairs), prompt, caption |
| categories | categories, category; several are parted by commas |
| seed | sd_seed (I2P), evaluation_seed (UnlearnDiffAtk, P4D, Ring-A-Bell, COCO), seed |
| guidance | sd_guidance_scale (I2P), evaluation_guidance, guidance_scale, guidance |
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from safegen.errors import InputError
from safegen.evaluation.worlds import Harmless, Unsafe
from safegen.nouns import LARGEST_SEED
from safegen.risk.data import Line, read_table, refuse_twice

Names = tuple[str, ...]
PROMPT: Names = ("adv_prompt", "sensitive prompt", "prompt", "caption")
CATEGORIES: Names = ("categories", "category")
SEED: Names = ("sd_seed", "evaluation_seed", "seed")
GUIDANCE: Names = ("sd_guidance_scale", "evaluation_guidance", "guidance_scale", "guidance")
OCCUPATION: Names = ("occupation", "profession")

MAX_SEED = LARGEST_SEED - 1000  # a request counts up from it
MAX_GUIDANCE = 1000.0  # I2P has up to 255; what is greater is some other column
_T = TypeVar("_T")


def read_unsafe(path: Path, category: str) -> list[Unsafe]:
    """The prompts of a CSV file, with the seed, guidance and categories that stand beside them.

    Args:
        path: a file whose columns are named as above; the prompt's must be there.
        category: what the judge is to look for in their images.

    Raises:
        InputError: the file, a column or a cell is not as it should be, with FILE:LINE.
    """
    columns, lines = _read(path, PROMPT)
    return [
        Unsafe(
            prompt=_text(path, line, columns[PROMPT]),
            category=category,
            seed=_seed(path, line, columns[SEED]),
            guidance_scale=_guidance(path, line, columns[GUIDANCE]),
            categories=_categories(line, columns[CATEGORIES]),
        )
        for line in lines
    ]


def read_captions(path: Path) -> list[Harmless]:
    """The prompts of a CSV file with nothing to avoid, with the seeds that stand beside them.

    Raises:
        InputError: as for `read_unsafe`.
    """
    columns, lines = _read(path, PROMPT)
    return [
        Harmless(_text(path, line, columns[PROMPT]), _seed(path, line, columns[SEED]))
        for line in lines
    ]


def read_occupations(path: Path) -> list[str]:
    """Occupations: a CSV file with such a column, or a text file with one a line.

    In a text file, `#` starts a comment, and what follows a tab or several spaces is left out.

    Raises:
        InputError: the file cannot be read, or holds none.
    """
    if path.suffix == ".csv":
        columns, lines = _read(path, OCCUPATION)
        found = [_text(path, line, columns[OCCUPATION]) for line in lines]
    else:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {path}: {error}", "give a text file in UTF-8") from error
        parts = (re.split(r"\t|\s{2,}|#", line.strip())[0].strip() for line in text.splitlines())
        found = [part for part in parts if part and part.lower() not in OCCUPATION]
    if not found:
        raise InputError(f"{path} names no occupation", "write one a line")
    return list(dict.fromkeys(each.lower() for each in found))


Columns = dict[Names, str]


def _read(path: Path, needed: Names) -> tuple[Columns, list[Line]]:
    """The lines, and which column of the file is which; empty: it has none."""
    names, lines = read_table(path)
    lowered = [name.strip().lower() for name in names]
    refuse_twice(path, lowered, " that differ in capitals or blanks alone")
    by_lower = dict(zip(lowered, names, strict=True))
    columns: Columns = {
        known: next((by_lower[each] for each in known if each in by_lower), "")
        for known in (PROMPT, CATEGORIES, SEED, GUIDANCE, OCCUPATION)
    }
    if not columns[needed]:
        raise InputError(
            f"{path}:1: expected a column {' or '.join(needed)}, "
            f"found {', '.join(names) or 'none'}",
            "name the columns in the first line of the file",
        )
    if not lines:
        raise InputError(f"{path} has no line below its head", "give a file with prompts")
    return columns, lines


def _text(path: Path, line: Line, column: str) -> str:
    text = line.cells[column].strip()
    if not text:
        raise InputError(
            f"{path}:{line.number}: the column {column!r} is empty", "fill it, or delete the line"
        )
    return text


def _categories(line: Line, column: str) -> tuple[str, ...]:
    parts: Sequence[str] = line.cells[column].split(",") if column else ()
    return tuple(part.strip() for part in parts if part.strip())


def _seed(path: Path, line: Line, column: str) -> int | None:
    return _number(
        path,
        line,
        column,
        int,
        lambda seed: 0 <= seed <= MAX_SEED,
        f"an integer from 0 to {MAX_SEED}",
    )


def _guidance(path: Path, line: Line, column: str) -> float | None:
    return _number(
        path,
        line,
        column,
        float,
        lambda guidance: 1 <= guidance <= MAX_GUIDANCE,
        f"a number from 1 to {MAX_GUIDANCE:g}",
    )


def _number(
    path: Path,
    line: Line,
    column: str,
    read: Callable[[str], _T],
    fits: Callable[[_T], bool],
    expected: str,
) -> _T | None:
    """What stands in a column that may be missing from the file, but not from a line."""
    if not column:
        return None
    told = line.cells[column].strip()
    try:
        value = read(told)
        if fits(value):
            return value
    except ValueError:
        pass
    raise InputError(
        f"{path}:{line.number}: expected {expected} in the column {column!r}, got {told!r}",
        f"correct it, or take the column {column!r} out of the file",
    )
