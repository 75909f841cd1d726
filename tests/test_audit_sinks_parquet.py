"""Parquet: the tables as files that DuckDB reads, each line in one of them."""

import stat
from pathlib import Path

import duckdb
import pytest
from ledgers import BARE, FULL, event, ledger, record
from shippers import killed_again_and_again
from writers import fill, small_disk

from safegen.audit.ledger import Ledger, verify
from safegen.audit.sinks import Shipper, sink_at
from safegen.audit.sinks.parquet import Parquet
from safegen.errors import LedgerError, OutputError, SinkError
from safegen.nouns import Context


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """What DuckDB finds, with each table's name for its files."""
    with duckdb.connect() as connection:
        for table in folder.iterdir():
            if table.is_dir():
                connection.execute(f"CREATE VIEW {table.name} AS FROM '{table}/*.parquet'")
        return connection.execute(query).fetchall()


def test_the_tables_hold_the_records(tmp_path: Path) -> None:
    """Records, images, findings, rules and events, flat and as JSON."""
    source = ledger(tmp_path / "ledger", FULL, BARE, event(1, "upheld", FULL))
    Shipper(source, sink_at(f"parquet:{tmp_path}/out")).once()
    out = tmp_path / "out"

    assert rows(
        out, "SELECT seq, id, epoch_ms(time), outcome, tenant, policy FROM records ORDER BY seq"
    ) == [
        (0, FULL.id, 1767323045678, "review", "acme", "default"),
        (1, BARE.id, 1767323100000, "error", "", None),
    ]
    assert rows(out, "SELECT record->>'$.scores.values.violence' FROM records WHERE seq = 0") == [
        ("0.75",)
    ]
    assert rows(out, "SELECT seq, image, attempts FROM images") == [(0, 0, 1), (0, 1, 3)]
    assert rows(out, "SELECT image, label, score, box_right FROM findings") == [
        (1, "unsafe", 0.875, 30.5)
    ]
    assert rows(out, "SELECT rule, action FROM rules") == [("occ-1", "steer")]
    assert rows(out, "SELECT seq, what, about FROM events") == [(2, "upheld", FULL.id)]
    assert len({ledger for (ledger,) in rows(out, "SELECT ledger FROM records")}) == 1


def test_files_are_for_their_owner(tmp_path: Path) -> None:
    """Prompts may stand in them: no other account of the machine reads them."""
    source = ledger(tmp_path / "ledger", FULL)
    Shipper(source, sink_at(f"parquet:{tmp_path}/out")).once()
    files = list((tmp_path / "out").glob("*/*.parquet"))

    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_files_say_which_lines_they_hold(tmp_path: Path) -> None:
    """Their names are the first and last number; tables without rows get one empty file."""
    fill(tmp_path / "ledger", 3)
    Shipper(tmp_path / "ledger", sink_at(f"parquet:{tmp_path}/out")).once()
    with Ledger.open(tmp_path / "ledger") as opened:
        opened.append(record(3))
    Shipper(tmp_path / "ledger", sink_at(f"parquet:{tmp_path}/out")).once()
    first, second = "000000000000-000000000002.parquet", "000000000003-000000000003.parquet"

    assert [file.name for file in sorted((tmp_path / "out/records").iterdir())] == [first, second]
    assert [file.name for file in (tmp_path / "out/events").iterdir()] == [first]
    assert rows(tmp_path / "out", "SELECT count(*) FROM events") == [(0,)]


def test_any_text_arrives(tmp_path: Path) -> None:
    """Control signs, U+0000 and markup too, and a time that is none."""
    nasty = "<b>\n\x1b[31m nul\0 \u202e 🜍 '"
    changes = {"context": Context(tenant=nasty), "time": "0001-01-01T00:00:00+14:00"}
    source = ledger(tmp_path / "ledger", record(0).model_copy(update=changes))
    Shipper(source, sink_at(f"parquet:{tmp_path}/out")).once()

    assert rows(tmp_path / "out", "SELECT tenant, time FROM records") == [(nasty, None)]


def test_killed_shippers_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Killed at any instant while a writer writes: one row for each line of the ledger."""
    to = f"parquet:{tmp_path}/out"
    killed_again_and_again(tmp_path / "ledger", to)
    Shipper(tmp_path / "ledger", sink_at(to)).once()
    count = verify(tmp_path / "ledger").records
    found = rows(tmp_path / "out", "SELECT count(*), count(DISTINCT seq), max(seq) FROM records")

    assert count > 50
    assert found == [(count, count, count - 1)]


def test_what_a_crash_left_is_written_anew(tmp_path: Path) -> None:
    """Files beyond the cursor go, and their lines come again with those that followed."""
    fill(tmp_path / "ledger", 2)
    sink = Parquet(tmp_path / "out")
    Shipper(tmp_path / "ledger", sink).once()
    kept = (tmp_path / "out/cursor.json").read_bytes()
    with Ledger.open(tmp_path / "ledger") as opened:
        opened.append(record(2))
        Shipper(tmp_path / "ledger", sink).once()
        (tmp_path / "out/cursor.json").write_bytes(kept)  # killed before it was replaced
        opened.append(record(3))
    Shipper(tmp_path / "ledger", sink).once()

    assert rows(tmp_path / "out", "SELECT seq FROM records ORDER BY 1") == [(0,), (1,), (2,), (3,)]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """What was half written when the disk was full goes at once, and all comes when it has room."""
    fill(tmp_path / "ledger", 2000)
    with small_disk(tmp_path, 512) as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(460 * 2**10))
        sink = Parquet(disk / "out")
        with pytest.raises(SinkError, match=r"takes no files: .*No space left"):
            Shipper(tmp_path / "ledger", sink).once()
        assert not [*disk.rglob("*.part")]
        filler.unlink()
        Shipper(tmp_path / "ledger", sink).once()

        assert rows(disk / "out", "SELECT count(*) FROM records") == [(2000,)]


def test_what_a_kill_left_half_written_goes(tmp_path: Path) -> None:
    """Parts of files of ours, whatever their lines, and nobody else's."""
    fill(tmp_path / "ledger", 1)
    sink = Parquet(tmp_path / "out")
    Shipper(tmp_path / "ledger", sink).once()
    for name in ("000000000000-000000000000.parquet.part", "notes.part"):
        (tmp_path / "out/records" / name).write_bytes(b"PAR1")
    Shipper(tmp_path / "ledger", sink).once()

    assert [file.name for file in (tmp_path / "out").rglob("*.part")] == ["notes.part"]


def test_two_shippers_at_once(tmp_path: Path) -> None:
    """One that knows nothing of the other finds the folder taken."""
    fill(tmp_path / "ledger", 1)
    sink = Parquet(tmp_path / "out")
    shipper = Shipper(tmp_path / "ledger", sink)
    with shipper._session():
        with pytest.raises(SinkError, match="another shipper delivers to parquet:"):
            Shipper(tmp_path / "ledger", Parquet(tmp_path / "out"), state=tmp_path / "two").once()


def test_a_folder_of_another_ledger(tmp_path: Path) -> None:
    """Its files are left alone."""
    fill(tmp_path / "one", 2)
    fill(tmp_path / "two", 1)
    Shipper(tmp_path / "one", Parquet(tmp_path / "out")).once()

    with pytest.raises(LedgerError, match="was fed from another ledger"):
        Shipper(tmp_path / "two", Parquet(tmp_path / "out")).once()
    assert rows(tmp_path / "out", "SELECT seq FROM records ORDER BY 1") == [(0,), (1,)]


def test_a_lost_cursor(tmp_path: Path) -> None:
    """Files without one are neither taken away nor added to."""
    fill(tmp_path / "ledger", 1)
    Shipper(tmp_path / "ledger", Parquet(tmp_path / "out")).once()
    (tmp_path / "out/cursor.json").unlink()

    with pytest.raises(OutputError, match=r"holds Parquet files, but no cursor\.json"):
        Shipper(tmp_path / "ledger", Parquet(tmp_path / "out")).once()
    assert rows(tmp_path / "out", "SELECT seq FROM records") == [(0,)]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is an error that names it, and nothing counts as delivered."""
    fill(tmp_path / "ledger", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/records").write_text("not a folder")

    with pytest.raises(SinkError, match="takes no files"):
        Shipper(tmp_path / "ledger", Parquet(tmp_path / "out")).once()
