"""Writing a ledger: durable, any number of writers, and sound after whatever stops it."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from writers import fill, outcome, record, script

from safegen.audit.ledger import Entry, Ledger, read, verify
from safegen.audit.ledger.failures import told
from safegen.audit.ledger.files import WriteLock
from safegen.errors import LedgerError, OutputError

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


def test_a_record_that_is_too_long(tmp_path: Path) -> None:
    """It is refused by its size, in words that a log may hold, and with a mend that has to do."""
    with Ledger.open(tmp_path) as ledger:
        with pytest.raises(LedgerError, match=r"r0 is too long: 17000\d\d\d bytes") as caught:
            ledger.append(record(0, error="x" * 17_000_000))
        assert ledger.append(record(1)).seq == 0

    assert "17000" in told(caught.value)
    assert "fewer images" in (caught.value.mend or "")


def test_a_segment_can_be_begun_at_any_time(tmp_path: Path) -> None:
    """The next record stands in a new one, and an empty one stays the last; the chain goes on."""
    with Ledger.open(tmp_path) as ledger, Ledger.open(tmp_path) as other:
        ledger.append(record(0))
        ledger.begin_segment()
        other.begin_segment()
        numbers = [each.append(record(1)).seq for each in (other, ledger)]
    with pytest.raises(LedgerError, match="it was closed"):
        ledger.begin_segment()

    assert numbers == [1, 2]
    assert (verify(tmp_path).segments, verify(tmp_path).records) == (2, 3)


def test_closed_ledger_refuses(tmp_path: Path) -> None:
    """After `close`, which may be called twice, nothing is accepted."""
    ledger = Ledger.open(tmp_path)
    ledger.close()
    ledger.close()

    with pytest.raises(LedgerError, match="it was closed"):
        ledger.append(record(0))


# --- many writers -----------------------------------------------------------------------------

APPEND = """
ledger = Ledger.open(folder, segment_bytes=3000)
for number in range(20):
    print(ledger.append(record(f"{os.getpid()}-{number}")).seq)
"""


def test_processes_share_one_chain(tmp_path: Path) -> None:
    """Several processes append to one folder at once: every record is there, in one chain."""
    processes = [script(APPEND, tmp_path) for _ in range(4)]
    ends = [outcome(process) for process in processes]
    numbers = sorted(int(number) for _, out, _ in ends for number in out.split())

    assert [code for code, _, _ in ends] == [0] * 4, ends
    assert numbers == list(range(80))
    assert verify(tmp_path).records == 80
    assert len({found.id for _, found in read(tmp_path)}) == 80


def test_two_writers_take_turns(tmp_path: Path) -> None:
    """Two ledgers open on one folder continue each other's chain, through new segments too."""
    with (
        Ledger.open(tmp_path, segment_bytes=1000) as one,
        Ledger.open(tmp_path, segment_bytes=1000) as two,
    ):
        numbers = [ledger.append(record(0)).seq for _ in range(4) for ledger in (one, two, two)]

    assert numbers == list(range(12))
    assert verify(tmp_path).records == 12


def test_waiting_records_share_a_commit(tmp_path: Path) -> None:
    """Records that wait while another writer holds the lock are written with one signature."""
    with Ledger.open(tmp_path) as ledger:
        threads = [threading.Thread(target=ledger.append, args=(record(n),)) for n in range(8)]
        with WriteLock(tmp_path).held(10):  # as another process would
            for thread in threads:
                thread.start()
            until = time.monotonic() + 20
            while len(ledger._waiting) < 8 and time.monotonic() < until:
                time.sleep(0.001)
        for thread in threads:
            thread.join()

    lines = (tmp_path / "00000000.jsonl").read_text().splitlines()
    assert ["signature" in json.loads(line) for line in lines] == [False] * 7 + [True]
    assert verify(tmp_path).records == 8


def test_a_forked_child_appends_to_the_same_chain(tmp_path: Path) -> None:
    """A child opens files of its own: parent and child append at once and do not fork the chain."""
    body = """
ledger = Ledger.open(folder)
ledger.append(record(0))
child = os.fork()
for number in range(20):
    ledger.append(record(f"{os.getpid()}-{number}"))
ledger.close()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    code, _, err = outcome(script(body, tmp_path))

    assert code == 0, err
    assert verify(tmp_path).records == 41


def test_a_writer_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a writer that was stopped is told which one it is; nothing is lost."""
    monkeypatch.setattr("safegen.audit.ledger.writer._LOCK_SECONDS", 0.2)
    body = """
ledger = Ledger.open(folder)
with ledger._lock.held(10):
    print(flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""
    with Ledger.open(tmp_path) as ledger:
        process = script(body, tmp_path)
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(LedgerError, match=f"kept locked by process {process.pid}"):
            ledger.append(record(0))
        with pytest.raises(LedgerError, match=f"kept locked by process {process.pid}"):
            Ledger.open(tmp_path)
        process.kill()
        outcome(process)
        assert ledger.append(record(1)).seq == 0


def test_only_owner_and_group_can_read(tmp_path: Path) -> None:
    """Prompts may stand in the lines; a shipper's account may be in the group."""
    before = os.umask(0)
    try:
        with Ledger.open(tmp_path / "ledger") as ledger:
            ledger.append(record(0))
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "ledger").stat().st_mode) == 0o750
    for name in ("00000000.jsonl", "checkpoint.json", "public.pem"):
        assert stat.S_IMODE((tmp_path / "ledger" / name).stat().st_mode) == 0o640


def test_only_the_owner_can_lock(tmp_path: Path) -> None:
    """A reader of the folder cannot even open the locks, nor those of a copied one."""
    Ledger.open(tmp_path).close()
    (tmp_path / "lock").chmod(0o644)
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(0))

    for name in ("lock", "lock.queue"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux says who holds a lock")
@pytest.mark.parametrize("name", ["lock", "lock.queue"])
def test_who_holds_a_lock_is_named_and_not_who_wrote_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also where it is no writer, which leaves no word of itself."""
    monkeypatch.setattr("safegen.audit.ledger.writer._LOCK_SECONDS", 0.2)
    code = (
        "import fcntl, os, sys; file = os.open(sys.argv[1], os.O_RDONLY)\n"
        "fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()\n"
    )
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(0))
        command = [sys.executable, "-c", code, tmp_path / name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(LedgerError, match=f"kept locked by process {process.pid} "):
                ledger.append(record(1))
            process.communicate()
        assert ledger.append(record(2)).seq == 1


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    """A folder that cannot be made is an OutputError, with nothing written."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match=r"(?s)cannot write the ledger .*mend"):
        Ledger.open(tmp_path / "file" / "ledger")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
