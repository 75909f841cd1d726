"""Scans from end to end."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import CHECK, FLAGGED, POLICY, flat, policy

from safegen.audit.scan import Progress, Scanned, Summary, scan
from safegen.audit.scan.examine import Examiner
from safegen.audit.scan.journal import Journal
from safegen.errors import InputError, OutputError
from safegen.policy import Policy


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with a flagged image, two clean ones, a broken one, and something else."""
    flat(tmp_path / "a/skin.png", FLAGGED)
    flat(tmp_path / "a/blue.png")
    flat(tmp_path / "a/b/blue.gif")
    (tmp_path / "a/broken.jpg").write_bytes(b"x")
    (tmp_path / "a/notes.txt").write_text("x")
    return tmp_path / "a"


def lines(out: Path) -> dict[str, Scanned]:
    """The results by path."""
    found = map(Scanned.model_validate_json, out.read_text().splitlines())
    return {result.path: result for result in found}


def test_a_scan_counts_and_writes(archive: Path, tmp_path: Path) -> None:
    """Results, summary, sheet and progress agree with each other."""
    told: list[Progress] = []
    tallied: list[str] = []
    found = scan(
        archive,
        policy(tmp_path),
        tmp_path / "r.jsonl",
        sheet=tmp_path / "s.html",
        progress=told.append,
        tally=lambda result: tallied.append(result.path),
    )
    results = lines(tmp_path / "r.jsonl")

    assert (found.images, found.looked_at, found.flagged, found.errors) == (4, 4, 1, 1)
    assert (found.flagged_by, found.checks) == ({CHECK: 1}, (CHECK,))
    assert (found.skipped, found.linked_folders) == (1, 0)
    assert told[-1] == Progress(images=4, unchanged=0, flagged=1, errors=1)
    assert tallied == list(results) == ["b/blue.gif", "blue.png", "broken.jpg", "skin.png"]
    assert {result.judge for result in results.values()} == {found.judge}
    assert set(found.detectors) == {"nsfw"}
    page = (tmp_path / "s.html").read_text()
    assert "skin.png" in page
    assert "blue.png" not in page


def test_what_no_scan_wrote_is_not_written_over(archive: Path, tmp_path: Path) -> None:
    """Results or a sheet in the place of what is to be scanned would destroy it, unseen."""
    table = archive / "train.jsonl"
    table.write_text("{}\n")
    with pytest.raises(OutputError, match="no scan wrote it"):
        scan(archive, policy(tmp_path), table)
    with pytest.raises(OutputError, match="is no page"):
        scan(archive, policy(tmp_path), tmp_path / "r.jsonl", sheet=archive / "blue.png")
    for _ in range(2):
        scan(archive, policy(tmp_path), tmp_path / "r.jsonl", sheet=tmp_path / "s.html")

    assert table.read_text() == "{}\n"


def test_what_is_known_is_not_looked_at_again(archive: Path, tmp_path: Path) -> None:
    """Only what is new, changed, or failed; what is gone is no longer in the results."""
    out, by = tmp_path / "r.jsonl", policy(tmp_path)
    first = scan(archive, by, out)
    same = scan(archive, by, out)
    assert (same.images, same.looked_at) == (4, 1)  # the broken one is tried again
    assert same.results_sha256 == first.results_sha256

    flat(archive / "new.png")
    flat(archive / "blue.png", FLAGGED)
    (archive / "b/blue.gif").unlink()
    later = scan(archive, by, out)
    assert (later.images, later.looked_at, later.flagged) == (4, 3, 2)
    assert set(lines(out)) == {"blue.png", "broken.jpg", "new.png", "skin.png"}


def test_another_policy_looks_at_everything_anew(archive: Path, tmp_path: Path) -> None:
    """A result of an earlier policy is not taken for one of this."""
    out = tmp_path / "r.jsonl"
    scan(archive, policy(tmp_path), out)
    found = scan(archive, policy(tmp_path, POLICY.replace("0.15", "0.99")), out)

    assert (found.looked_at, found.flagged) == (4, 0)


def test_tables_are_scanned_row_by_row(archive: Path, tmp_path: Path) -> None:
    """A table gives for each row what the file of that row gives; some rows are known later."""
    names = ["skin.png", "blue.png", "broken.jpg"]
    cells = [{"bytes": (archive / name).read_bytes(), "path": name} for name in names]
    table, out, by = tmp_path / "t.parquet", tmp_path / "r.jsonl", policy(tmp_path)
    pq.write_table(pa.table({"photo": cells}), table)
    scan(table, by, out, column="photo")
    rows = lines(out)
    scan(archive, by, tmp_path / "files.jsonl")
    files = lines(tmp_path / "files.jsonl")

    for number, name in enumerate(names):
        path = f"t.parquet/{number}"
        assert rows[path] == files[name].model_copy(update={"path": path})
    pq.write_table(pa.table({"photo": [*cells[:2], cells[0]]}), table)
    again = scan(table, by, out, column="photo")
    assert (again.images, again.looked_at, again.flagged) == (3, 1, 2)


def test_an_archive_without_images_is_no_clean_one(archive: Path, tmp_path: Path) -> None:
    """A wrong path must not come out as nothing flagged; earlier results stay."""
    out, by = tmp_path / "r.jsonl", policy(tmp_path)
    scan(archive, by, out)
    before = out.read_text()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("x")

    with pytest.raises(InputError, match=r"there is no image in .*empty; 1 files were left out"):
        scan(tmp_path / "empty", by, out)
    assert out.read_text() == before
    assert scan(archive, by, out).looked_at == 1


PROGRAM = """
import sys
from pathlib import Path
from safegen.audit.scan import scan
folder = Path(sys.argv[1])
tell = lambda now: print(now, flush=True)
scan(folder / "a", folder / "policy.yaml", folder / "r.jsonl", progress=tell)
"""


def test_a_scan_that_is_killed_goes_on(tmp_path: Path) -> None:
    """After kill -9 at most a batch is looked at again, and the results are the same."""
    for number in range(240):
        flat(tmp_path / f"a/{number}.png", FLAGGED if number % 50 == 0 else (0, number, 99))
    by = policy(tmp_path)
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    for _ in range(3):
        assert started.stdout.readline()
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    started.stdout.close()
    assert not (tmp_path / "r.jsonl").exists()
    database = sqlite3.connect(Journal.folder(tmp_path / "r.jsonl") / "journal.sqlite")
    [(written,)] = database.execute("SELECT count(*) FROM images").fetchall()
    database.close()

    found = scan(tmp_path / "a", by, tmp_path / "r.jsonl")
    whole = scan(tmp_path / "a", by, tmp_path / "whole.jsonl")

    assert 96 <= written < 240
    assert found.looked_at == 240 - written
    assert whole.looked_at == 240
    assert (found.images, found.flagged) == (whole.images, whole.flagged) == (240, 5)
    assert [result.flagged for result in lines(tmp_path / "r.jsonl").values()] == [
        result.flagged for result in lines(tmp_path / "whole.jsonl").values()
    ]


def test_an_audit_is_that_of_the_guard(archive: Path, tmp_path: Path) -> None:
    """The judge named in the summary is the digest of the policy and of its detectors."""
    found = scan(archive, policy(tmp_path), tmp_path / "r.jsonl")
    loaded = Policy.load(policy(tmp_path))
    assert (found.policy, found.policy_digest) == ("scan", loaded.digest)
    assert found.judge == Examiner(loaded).digest
    assert Summary.model_validate(json.loads(found.model_dump_json())) == found
