"""Results as files."""

import csv
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from safegen.audit.scan.export import write_results, writer_for
from safegen.audit.scan.result import Scanned, Sighting
from safegen.audit.scan.sources import Listing
from safegen.errors import InputError, MissingExtraError, OutputError

RESULTS = [
    Scanned(
        path="=cmd|' /C calc'!A0.png",
        sha256="ab",
        format="PNG",
        mode="RGB",
        width=4,
        height=3,
        frames=2,
        findings=(
            Sighting(detector="nsfw", label="nsfw", score=0.25),
            Sighting(detector="nsfw", label="nsfw", score=0.5, view=1),
            Sighting(detector="nudenet", label="FACE_MALE", score=0.75, box=(0, 0, 1.5, 2)),
        ),
        detectors=("nsfw", "nudenet"),
        flagged=("nsfw/nsfw from 0.4",),
        judge="sha256:j",
    ),
    Scanned(path="b.png", error="it\nis cut", judge="sha256:j"),
]


def test_json_lines(tmp_path: Path) -> None:
    """Each line reads back as the result."""
    out = tmp_path / "r.jsonl"
    write_results(out, RESULTS)

    lines = out.read_text().splitlines()
    assert [Scanned.model_validate_json(line) for line in lines] == RESULTS


def test_csv_is_for_spreadsheets(tmp_path: Path) -> None:
    """One row an image, the highest score of each label, and no cell that is a formula."""
    out = tmp_path / "r.csv"
    write_results(out, RESULTS)

    with out.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["path"] == "'=cmd|' /C calc'!A0.png"
    assert first["scores"] == "nsfw/nsfw=0.5 nudenet/FACE_MALE=0.75"
    assert (first["flagged"], first["width"]) == ("nsfw/nsfw from 0.4", "4")
    assert (second["path"], second["error"], second["scores"]) == ("b.png", "it\nis cut", "")


def test_parquet_keeps_everything(tmp_path: Path) -> None:
    """Each row reads back as the result, over several row groups, and an empty table too."""
    out = tmp_path / "r.parquet"
    write_results(out, RESULTS * 600)
    rows = pq.read_table(out).to_pylist()

    assert [Scanned.model_validate(row) for row in rows] == RESULTS * 600
    assert pq.ParquetFile(out).num_row_groups == 2
    write_results(out, [])
    assert pq.read_table(out).num_rows == 0


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    """Results that break off leave the old file as it was."""
    out = tmp_path / "r.jsonl"
    out.write_text("old")

    def broken() -> object:
        yield RESULTS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write_results(out, broken())  # type: ignore[arg-type]
    assert out.read_text() == "old"


def test_parquet_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the extra is told, before anything is looked at; other formats need none."""
    (tmp_path / "t.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet")
    with pytest.raises(MissingExtraError, match=r"safegen\[parquet\]"):
        writer_for(tmp_path / "r.parquet")
    with pytest.raises(MissingExtraError, match=r"safegen\[parquet\]"):
        list(Listing(str(tmp_path)).units())
    write_results(tmp_path / "r.jsonl", RESULTS)


def test_an_unknown_ending(tmp_path: Path) -> None:
    """The formats that there are get told."""
    with pytest.raises(InputError, match=r"\.jsonl, \.csv, \.parquet"):
        write_results(tmp_path / "r.xlsx", RESULTS)
