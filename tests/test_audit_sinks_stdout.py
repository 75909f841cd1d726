"""Standard output as a sink: one line of JSON for each line of the ledger."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ledgers import BARE, FULL, event, ledger, record

from safegen.audit.sinks import Shipper
from safegen.audit.sinks.stdout import Stdout
from safegen.errors import OutputError
from safegen.nouns import Context, Outcome


def shipped(folder: Path, out: Path) -> list[dict[str, object]]:
    """What a file gets."""
    with out.open("ab") as file:
        Shipper(folder, Stdout(file.fileno())).once()
    return [json.loads(line) for line in out.read_bytes().splitlines() if line]


def test_lines_of_json(tmp_path: Path) -> None:
    """Each says its kind, level, time, key and hash, and holds the record as it was written."""
    folder = ledger(tmp_path / "ledger", FULL, BARE, record(2), event(3, "upheld", FULL))
    lines = shipped(folder, tmp_path / "out")

    assert [line["event"] for line in lines] == ["safegen.request"] * 3 + ["safegen.event"]
    assert [line["level"] for line in lines] == ["warning", "error", "info", "info"]
    assert [line["seq"] for line in lines] == [0, 1, 2, 3]
    assert len({line["key"] for line in lines}) == 4
    assert lines[0]["timestamp"] == FULL.time
    assert lines[0]["record"] == json.loads(FULL.model_dump_json())


def test_no_text_begins_a_line_of_its_own(tmp_path: Path) -> None:
    """Newlines of every kind, control signs and U+0000 are escaped, so a line is a record."""
    nasty = 'a\nb\r\nc\u2028d\x85e\x1b[31m\0"}\n{"event":"forged"}'
    given = record(0, Outcome.BLOCKED).model_copy(update={"context": Context(tenant=nasty)})
    [line] = shipped(ledger(tmp_path / "ledger", given), tmp_path / "out")

    assert (tmp_path / "out").read_bytes().isascii()
    assert json.loads(json.dumps(line))["record"]["context"]["tenant"] == nasty


def test_a_reader_that_left(tmp_path: Path) -> None:
    """A closed pipe ends the shipping; its lines come again to the next reader."""
    folder = ledger(tmp_path / "ledger", record(0))
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(OutputError, match="standard output takes no more lines"):
        Shipper(folder, Stdout(writer)).once()
    os.close(writer)

    assert len(shipped(folder, tmp_path / "out")) == 1


def test_half_a_line_at_the_end_of_a_file(tmp_path: Path) -> None:
    """What a run that was killed left takes no line of the next one with it."""
    (tmp_path / "out").write_bytes(b'{"timestamp": "2026')
    with (tmp_path / "out").open("ab") as file:
        Shipper(ledger(tmp_path / "ledger", record(0)), Stdout(file.fileno())).once()
    half, *lines = (tmp_path / "out").read_bytes().splitlines()

    assert half == b'{"timestamp": "2026'
    assert [json.loads(line)["seq"] for line in lines] == [0]


def test_killed_shippers_lose_nothing(tmp_path: Path) -> None:
    """A line may come twice after a kill, and none is missing."""
    folder = ledger(tmp_path / "ledger", *map(record, range(200)))
    program = """
import sys
from safegen.audit.sinks import Shipper, sink_at
sink = sink_at("stdout")
sink.most = 1
Shipper(sys.argv[1], sink).once()
"""
    for lines in (10, 50, 3):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        got = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        rest, _ = process.communicate()
        whole, _, _ = (b"".join(got) + rest).rpartition(b"\n")  # after which half a line may come
        with (tmp_path / "out").open("ab") as out:
            out.write(whole + b"\n")
    lines = shipped(folder, tmp_path / "out")

    assert {line["seq"] for line in lines} == set(range(200))
