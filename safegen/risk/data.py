"""Prompts from files, labelled or not, and which of them no training may see."""

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from safegen.errors import InputError
from safegen.nouns import Frozen, Unit

HOT, COLD = 0.5, 0.1
_FOLDS = 5
_MEND = "write FILE=COLUMN, or FILE=0 for harmless prompts and FILE=1 for risky ones"


class Row(Frozen):
    """A prompt and how risky it is."""

    source: str
    prompt: str
    risk: Unit
    categories: tuple[str, ...] = ()

    @property
    def fold(self) -> int:
        """One of five folds, from the prompt's hash; fold 0 is held out of training."""
        return hashlib.sha256(self.prompt.encode()).digest()[0] % _FOLDS

    @property
    def hot(self) -> bool:
        """Whether it counts as risky."""
        return self.risk >= HOT

    @property
    def cold(self) -> bool:
        """Whether it counts as harmless; between hot and cold it counts as neither."""
        return self.risk <= COLD


def read_rows(specs: Sequence[str]) -> list[Row]:
    """Rows of several files; a prompt that comes again is left out.

    Args:
        specs: `FILE=RISK` each, where RISK is a number in [0, 1] for all rows, or the column that
            holds it; of a column called `…percentage`, a hundredth. `FILE` alone: column `risk`.

    Raises:
        InputError: a file or column is missing, or holds something else.
    """
    rows: dict[str, Row] = {}
    parted = [_parted(spec) for spec in specs]
    sources = _sources([path for path, _ in parted])
    for path, risk in parted:
        for line, record in enumerate(read_csv(path), start=2):
            row = _row(record, path, sources[path], line, risk)
            rows.setdefault(row.prompt, row)
    return list(rows.values())


def _sources(paths: Sequence[Path]) -> dict[Path, str]:
    """What each file is called: its stem, or as it was given where another has the same stem."""
    files: dict[str, set[Path]] = {}
    for path in paths:
        files.setdefault(path.stem, set()).add(path.resolve())
    return {path: path.stem if len(files[path.stem]) == 1 else str(path) for path in paths}


def _parted(spec: str) -> tuple[Path, str]:
    """The file, and where its risk stands; a folder's name may hold `=` too."""
    path, equals, risk = spec.rpartition("=")
    if not equals or Path(spec).is_file():
        return Path(spec), "risk"
    return Path(path), risk or "risk"


def read_csv(path: Path, column: str = "prompt") -> list[dict[str, str]]:
    """The records of a CSV file with a header, in which `column` must occur.

    Raises:
        InputError: it cannot be read, or has no such column.
    """
    names, lines = read_table(path)
    if column not in names:
        raise InputError(
            f"expected a column {column!r} in {path}, found {', '.join(names) or 'none'}",
            "name the column that holds it",
        )
    return [line.cells for line in lines]


class Line(Frozen):
    """A record of a CSV file, and the line of the file on which it ends."""

    number: int
    cells: dict[str, str]


def read_table(path: Path) -> tuple[list[str], list[Line]]:
    """The names of the columns of a CSV file, and its records.

    Raises:
        InputError: it cannot be read, two columns have one name, or a record has fewer or more
            cells than there are columns.
    """
    lines = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            refuse_twice(path, names)
            for cells in reader:
                if None in cells or None in cells.values():
                    raise InputError(
                        f"{path}:{reader.line_num}: expected {len(names)} cells, as in the first "
                        f"line, got {'more' if None in cells else 'fewer'}",
                        "put cells that hold commas in double quotes",
                    )
                lines.append(Line(number=reader.line_num, cells=cells))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {error}", "give a CSV file in UTF-8") from error
    return names, lines


def refuse_twice(path: Path, names: Sequence[str], but: str = "") -> None:
    """Of two columns of one name only the last would be read; those without one nobody asks for.

    Raises:
        InputError: two columns have one name.
    """
    for name, count in Counter(filter(None, names)).items():
        if count > 1:
            raise InputError(
                f"{path}:1: expected one column {name!r}, found {count}{but}",
                "rename all but one of them, or take them out of the file",
            )


def read_prompts(path: Path) -> list[str]:
    """The prompts of a CSV file with a column `prompt`, or of a text file with one a line.

    Raises:
        InputError: it cannot be read, or has no such column.
    """
    if path.suffix.lower() == ".csv":
        lines = [record["prompt"] for record in read_csv(path)]
    else:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"cannot read the prompts {path}: {error}", "give a text file in UTF-8"
            ) from error
    return [line.strip() for line in lines if line.strip()]


def _row(record: dict[str, str], path: Path, source: str, line: int, risk: str) -> Row:
    scale = 100 if risk.endswith("percentage") else 1
    told = record.get(risk, risk)
    try:
        value = float(told) / scale
    except ValueError:
        if risk not in record:
            raise InputError(
                f"{path}: expected a number or a column, got {risk!r}; its columns are "
                f"{', '.join(record)}",
                _MEND,
            ) from None
        value = -1
    if not 0 <= value <= 1:
        raise InputError(
            f"{path}, record {line}: expected a risk from 0 to {scale}, got {told!r}",
            _MEND,
        )
    categories = record.get("categories") or record.get("category") or ""
    return Row(
        source=source,
        prompt=record["prompt"],
        risk=value,
        categories=tuple(each.strip() for each in categories.split(",") if each.strip()),
    )
