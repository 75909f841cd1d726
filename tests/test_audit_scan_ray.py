"""Scans on a Ray cluster."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import FLAGGED, flat, policy

from safegen.audit.scan import scan


@pytest.mark.slow
def test_a_cluster_comes_to_the_same_results(tmp_path: Path) -> None:
    """On a cluster started for it, in another process; and it goes on where a scan here was."""
    for number in range(70):
        flat(tmp_path / f"a/{number}.png", FLAGGED if number % 10 == 0 else (0, number, 99))
    (tmp_path / "a/broken.jpg").write_bytes(b"x")
    (tmp_path / "a").joinpath("\udcff.png").write_bytes(b"x")
    cells = [(tmp_path / "a/0.png").read_bytes(), None]
    pq.write_table(pa.table({"image": cells}), tmp_path / "a/t.parquet")
    by, there = policy(tmp_path), tmp_path / "there.jsonl"
    here = scan(tmp_path / "a", by, tmp_path / "here.jsonl")
    program = [sys.executable, "-c", "from safegen.cli.main import main; main()"]
    given = ["audit", "scan", str(tmp_path / "a"), "--policy", str(by), "--engine", "ray", "--json"]
    done = subprocess.run(
        [*program, *given, "--out", str(there)], check=False, capture_output=True, text=True
    )

    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert [found[key] for key in ("images", "looked_at", "flagged", "errors")] == [74, 74, 8, 3]
    assert there.read_text() == (tmp_path / "here.jsonl").read_text()
    assert found["judge"] == here.judge
    again = scan(tmp_path / "a", by, there)
    assert again.looked_at == 3  # those with errors
