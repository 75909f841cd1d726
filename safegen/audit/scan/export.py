"""Results of a scan as a file: JSON lines, CSV, or Parquet; whole or not at all."""

import csv
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from safegen.audit.scan.result import Scanned
from safegen.audit.sheet import harmless
from safegen.errors import InputError, MissingExtraError
from safegen.files import whole

_ROWS = 1000
_COLUMNS = (
    "path", "sha256", "format", "mode", "width", "height", "frames", "flagged", "error", "scores",
    "detectors", "judge",
)  # fmt: skip


def writer_for(out: Path) -> Callable[[Path, Iterable[Scanned]], None]:
    """What writes a file of this name.

    Raises:
        InputError: its ending says none of the formats.
        MissingExtraError: pyarrow is not installed, and needed.
    """
    if out.suffix not in _WRITERS:
        raise InputError(
            f"expected a file of results that ends in {', '.join(_WRITERS)}, got {out}",
            "name it results.jsonl, say",
        )
    if out.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("pyarrow", "parquet", "writing Parquet") from error
    return _WRITERS[out.suffix]


def write_results(out: Path, results: Iterable[Scanned]) -> None:
    """Write them all, through a part beside the file.

    Raises:
        OutputError: it cannot be written.
    """
    with whole(out) as part:
        writer_for(out)(part, results)


def _write_jsonl(path: Path, results: Iterable[Scanned]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{result.model_dump_json()}\n" for result in results)


def _write_csv(path: Path, results: Iterable[Scanned]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(map(_cells, results))


def _cells(result: Scanned) -> tuple[str, ...]:
    scores: dict[str, float] = {}
    for seen in result.findings:
        name = f"{seen.detector}/{seen.label}"
        scores[name] = max(seen.score, scores.get(name, 0.0))
    told = {
        "flagged": "; ".join(result.flagged),
        "detectors": " ".join(result.detectors),
        "scores": " ".join(f"{name}={score:.4g}" for name, score in sorted(scores.items())),
    }
    return tuple(harmless(str(told.get(name, getattr(result, name, "")))) for name in _COLUMNS)


def _write_parquet(path: Path, results: Iterable[Scanned]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, texts, size = pa.string(), pa.list_(pa.string()), pa.int32()
    finding = {
        "detector": text,
        "label": text,
        "score": pa.float64(),
        "box": pa.list_(pa.float64()),
        "view": size,
    }
    kinds = {
        "width": size,
        "height": size,
        "frames": size,
        "findings": pa.list_(pa.struct(finding)),
        "detectors": texts,
        "flagged": texts,
    }
    schema = pa.schema([(name, kinds.get(name, text)) for name in Scanned.model_fields])
    rows = (result.model_dump() for result in results)
    with pq.ParquetWriter(path, schema) as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema))


def _groups(rows: Iterator[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    while group := list(islice(rows, _ROWS)):
        yield group


_WRITERS = {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet}
