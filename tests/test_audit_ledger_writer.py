"""Writing a ledger: durable, one writer, and sound after whatever stops it."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from safegen.audit.ledger import Entry, Ledger, entries, read, verify
from safegen.errors import LedgerError, LedgerTamperedError, OutputError
from safegen.nouns import Context, Event, Outcome, Record, Scores

HEADER = """
import os, resource, signal, sys
from safegen.audit.ledger import Ledger
from safegen.errors import LedgerError
from safegen.nouns import Context, Event, Outcome, Record, Scores

def record(number):
    return Record(id=f"r{number}", time="", outcome=Outcome.ALLOWED, prompt_commitment="",
                  context=Context(), scores=Scores(), safegen="test")

def limit_file(folder, more):  # the kernel cuts a write off there
    size = os.path.getsize(os.path.join(folder, "00000000.jsonl"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + more, resource.RLIM_INFINITY))

folder = sys.argv[1]
"""


def record(number: int, **changes: object) -> Record:
    """A small record whose id says its number."""
    plain = Record(
        id=f"r{number}",
        time="2026-01-01T00:00:00.000+00:00",
        outcome=Outcome.ALLOWED,
        prompt_commitment="hmac-sha256:00",
        context=Context(),
        scores=Scores(),
        safegen="test",
    )
    return plain.model_copy(update=changes)


def fill(folder: Path, count: int, segment_bytes: int = 2**20) -> None:
    """Write `count` records and close."""
    with Ledger.open(folder, segment_bytes=segment_bytes) as ledger:
        for number in range(count):
            ledger.append(record(number))


def script(body: str, folder: Path) -> subprocess.Popen[str]:
    """Start another process that runs `body` on the ledger in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-c", HEADER + body, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and output of a process, once it ended."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


# --- what is written --------------------------------------------------------------------------


def test_entries_number_and_seal_the_lines(tmp_path: Path) -> None:
    """`append` returns the number and hash that stand in the line on disk."""
    with Ledger.open(tmp_path) as ledger:
        entries = [ledger.append(record(number)) for number in range(3)]
        lines = [json.loads(x) for x in (tmp_path / "00000000.jsonl").read_text().splitlines()]

    assert entries == [Entry(line["seq"], line["hash"]) for line in lines]
    assert [line["prev"] for line in lines] == ["0" * 64, entries[0].hash, entries[1].hash]


def test_reopening_continues_the_chain(tmp_path: Path) -> None:
    """A ledger that was closed goes on with the next number, as one chain."""
    fill(tmp_path, 2)
    with Ledger.open(tmp_path) as ledger:
        entry = ledger.append(record(2))

    assert entry.seq == 2
    assert [found.id for _, found in read(tmp_path)] == ["r0", "r1", "r2"]
    assert verify(tmp_path).head_hash == entry.hash


def test_segments_rotate_by_size(tmp_path: Path) -> None:
    """A new segment begins once one is full, also after reopening; the chain goes through."""
    fill(tmp_path, 3, segment_bytes=1000)
    with Ledger.open(tmp_path, segment_bytes=1000) as ledger:
        for number in range(3, 9):
            ledger.append(record(number))
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.jsonl"))]

    assert len(sizes) >= 3
    assert all(size >= 1000 for size in sizes[:-1])
    assert verify(tmp_path).records == 9
    assert verify(tmp_path).segments == len(sizes)


def test_threads_share_one_chain(tmp_path: Path) -> None:
    """Records appended by many threads at once get numbers of their own and no fork."""
    entries: list[Entry] = []

    def work(start: int) -> None:
        entries.extend(ledger.append(record(start + i)) for i in range(8))

    with Ledger.open(tmp_path, segment_bytes=3000) as ledger:
        threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(entry.seq for entry in entries) == list(range(48))
    assert verify(tmp_path).records == 48


@pytest.mark.parametrize(
    "changes",
    [
        {"sampler": {"steps": 2**53}},
        {"sampler": {"guidance": float("nan")}},
        {"error": "a lone surrogate \ud800"},
    ],
)
def test_refuses_what_has_no_canonical_form(tmp_path: Path, changes: dict[str, object]) -> None:
    """A value that would not survive the round trip is refused by name; the ledger goes on."""
    with Ledger.open(tmp_path) as ledger:
        with pytest.raises(LedgerError, match="r0 has no canonical JSON"):
            ledger.append(record(0, **changes))
        assert ledger.append(record(1)).seq == 0

    assert verify(tmp_path).records == 1


def test_closed_ledger_refuses(tmp_path: Path) -> None:
    """After `close`, which may be called twice, nothing is accepted."""
    ledger = Ledger.open(tmp_path)
    ledger.close()
    ledger.close()

    with pytest.raises(LedgerError, match="it was closed"):
        ledger.append(record(0))


# --- one writer -------------------------------------------------------------------------------


def test_second_process_is_refused_by_name(tmp_path: Path) -> None:
    """Another process cannot open the ledger, is told which process holds it, and may later."""
    body = "Ledger.open(folder).append(record(1))"
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(0))
        code, _, err = outcome(script(body, tmp_path))
        assert code != 0
        assert f"open for writing by process {os.getpid()} on " in err

    assert outcome(script(body, tmp_path))[0] == 0
    assert verify(tmp_path).records == 2


def test_second_writer_in_the_process_is_refused(tmp_path: Path) -> None:
    """The same process cannot open it twice either, and the refusal leaves the first at work."""
    with Ledger.open(tmp_path) as ledger:
        with pytest.raises(LedgerError, match="open for writing by process"):
            Ledger.open(tmp_path)
        with pytest.raises(LedgerError, match="open for writing by process"):
            Ledger.open(tmp_path)
        assert ledger.append(record(0)).seq == 0


def test_forked_child_cannot_fork_the_chain(tmp_path: Path) -> None:
    """A child cannot append to its parent's ledger, nor give its parent's lock away."""
    body = """
ledger = Ledger.open(folder)
ledger.append(record(0))
if os.fork() == 0:
    try:
        ledger.append(record(1))
        print("child appended")
    except LedgerError as error:
        print("child:", error.message)
    ledger.close()
    sys.exit()
os.wait()
try:
    Ledger.open(folder)
    print("the lock was lost")
except LedgerError as error:
    print("parent:", error.message)
print("parent appended", ledger.append(record(1)).seq)
"""
    code, out, err = outcome(script(body, tmp_path))

    assert code == 0, err
    assert "child: the ledger" in out
    assert "parent: the ledger" in out
    assert "open for writing" in out
    assert "parent appended 1" in out
    assert verify(tmp_path).records == 2


# --- crashes and full disks -------------------------------------------------------------------


def test_killed_in_the_middle_of_a_write(tmp_path: Path) -> None:
    """A process killed with half a line on disk: set aside, entered in the chain, nothing lost."""
    body = """
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
ledger = Ledger.open(folder)
for number in range(3):
    ledger.append(record(number))
limit_file(folder, 100)
ledger.append(record(3))
"""
    code, _, err = outcome(script(body, tmp_path))
    torn = (tmp_path / "00000000.jsonl").read_bytes().split(b"\n")[-1]
    assert code == -signal.SIGXFSZ, err
    assert len(torn) == 100
    assert verify(tmp_path).unfinished

    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(4))

    (aside,) = tmp_path.glob("*.torn-*")
    found = [entry for _, entry in entries(tmp_path)]
    assert aside.read_bytes() == torn
    assert [entry.id for entry in found if isinstance(entry, Record)] == ["r0", "r1", "r2", "r4"]
    assert isinstance(found[3], Event)
    assert (found[3].what, found[3].details["file"]) == ("repaired", aside.name)
    assert not verify(tmp_path).unfinished


def test_failed_write_stops_the_ledger(tmp_path: Path) -> None:
    """After a write that failed half-way nothing more is accepted; reopening mends it."""
    body = """
ledger = Ledger.open(folder)
ledger.append(record(0))
limit_file(folder, 100)
for number in (1, 2):
    try:
        ledger.append(record(number))
    except LedgerError as error:
        print(error.message)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
"""
    code, out, err = outcome(script(body, tmp_path))
    first, second = out.splitlines()
    assert code == 0, err
    assert "cannot write the record r1" in first
    assert "takes no records: a write failed" in second

    with Ledger.open(tmp_path) as ledger:
        assert ledger.append(record(3)).seq == 2  # 1 tells of the repair
    assert verify(tmp_path).records == 3


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Whenever a writer is killed, every record it was told to be durable is there."""
    body = """
with Ledger.open(folder, segment_bytes=2000) as ledger:
    number = 0
    while True:
        print(ledger.append(record(number)).hash, flush=True)
        number += 1
"""
    acknowledged: set[str] = set()
    for _ in range(3):
        process = script(body, tmp_path)
        assert process.stdout is not None
        acknowledged.add(process.stdout.readline().strip())
        time.sleep(random.uniform(0.05, 0.3))
        process.send_signal(signal.SIGKILL)
        acknowledged |= {
            line.strip()
            for line in outcome(process)[1].splitlines(keepends=True)
            if line.endswith("\n")
        }
        Ledger.open(tmp_path).close()
        written = {
            json.loads(line)["hash"]
            for path in tmp_path.glob("*.jsonl")
            for line in path.read_text().splitlines()
        }

        assert acknowledged <= written
        assert verify(tmp_path).records == len(written)


def test_interrupt_stops_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between line and checkpoint cannot give two records one number."""

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with Ledger.open(tmp_path) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupted)
            with pytest.raises(KeyboardInterrupt):
                ledger.append(record(0))
        with pytest.raises(LedgerError, match="a write was interrupted"):
            ledger.append(record(1))

    with Ledger.open(tmp_path) as ledger:
        assert ledger.append(record(1)).seq == 1
    assert verify(tmp_path).records == 2


def test_crash_before_the_checkpoint(tmp_path: Path) -> None:
    """A checkpoint that lags behind the last record is mended; the record stays."""
    fill(tmp_path, 2)
    lagging = (tmp_path / "checkpoint.json").read_bytes()
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(2))
    (tmp_path / "checkpoint.json").write_bytes(lagging)
    assert verify(tmp_path).records == 3

    Ledger.open(tmp_path).close()

    assert json.loads((tmp_path / "checkpoint.json").read_bytes())["count"] == 3


@pytest.mark.parametrize("start", [b"", b'{"hash":"00'])
def test_crash_in_a_new_segment(tmp_path: Path, start: bytes) -> None:
    """A new segment that holds no whole record yet does not hide the chain before it."""
    fill(tmp_path, 2, segment_bytes=1)
    (tmp_path / "00000002.jsonl").write_bytes(start)
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(2))

    assert verify(tmp_path).records == (4 if start else 3)
    assert verify(tmp_path).segments == 3


# --- what open refuses ------------------------------------------------------------------------


def _cut_last_line(folder: Path) -> None:
    path = folder / "00000001.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def _cut_newline(folder: Path) -> None:
    path = folder / "00000001.jsonl"
    path.write_bytes(path.read_bytes()[:-1])


def _delete_segments(folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        path.unlink()


def _delete_checkpoint(folder: Path) -> None:
    (folder / "checkpoint.json").unlink()


def _edit_checkpoint(folder: Path) -> None:
    path = folder / "checkpoint.json"
    path.write_bytes(path.read_bytes().replace(b'"count":4', b'"count":3'))


@pytest.mark.parametrize(
    "attack", [_cut_last_line, _cut_newline, _delete_segments, _delete_checkpoint, _edit_checkpoint]
)
def test_open_refuses_a_tampered_end(tmp_path: Path, attack: Callable[[Path], None]) -> None:
    """A chain whose end was changed is not written on, and not touched."""
    fill(tmp_path, 4, segment_bytes=1000)
    attack(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("*.json*")}

    with pytest.raises(LedgerTamperedError):
        Ledger.open(tmp_path)

    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.json*")} == before


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    """A folder that cannot be made is an OutputError, with nothing written."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match=r"(?s)cannot write the ledger .*mend"):
        Ledger.open(tmp_path / "file" / "ledger")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
