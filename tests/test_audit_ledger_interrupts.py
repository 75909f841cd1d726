"""A signal whose handler raises, at any instant: a deadline, Ctrl-C, a worker's SystemExit."""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from functools import partial
from pathlib import Path

import pytest
from interrupting import Deadline, interrupted
from writers import record

from safegen.audit.ledger import Ledger, read, verify
from safegen.audit.ledger.files import WriteLock
from safegen.audit.ledger.subjects import NAME, SubjectKeys
from safegen.audit.sqlite import connect, writing
from safegen.errors import LedgerError

OURS = ("safegen/audit/ledger", "safegen/audit/sqlite", "contextlib")
DAY = "2026-01-31"
PROMPT = 5  # seconds; what waits for one that will never come waits longer


def soon(work: Callable[[], object]) -> None:
    """Another thread does this, and is not kept waiting."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PROMPT)
    assert not thread.is_alive(), "it waits for ever"


def test_append(tmp_path: Path) -> None:
    """The next append, of any thread and process, goes on; what was acknowledged is there."""
    told: list[str] = []
    ledger, other = Ledger.open(tmp_path, segment_bytes=2**16), Ledger.open(tmp_path)
    process = WriteLock(tmp_path)  # as another process has it
    for number in interrupted(lambda: ledger.append(record(0)), *OURS):
        with process.held(PROMPT):
            pass
        for by in (ledger, other):
            name = f"{number} {len(told)}"
            soon(partial(by.append, record(0, id=name)))
            told.append(name)
    soon(ledger.close)
    soon(other.close)
    process.close()

    assert number > 100
    assert set(told) <= {each.id for _, each in read(tmp_path)}
    verify(tmp_path)


def test_append_among_others(tmp_path: Path) -> None:
    """Threads that wait for the one that is cut off are refused at worst, and go on."""
    ledger, stop = Ledger.open(tmp_path), threading.Event()
    told: list[list[int]] = [[], []]

    def work(mine: list[int]) -> None:
        while not stop.is_set():
            with suppress(LedgerError):
                mine.append(ledger.append(record(0)).seq)

    threads = [threading.Thread(target=work, args=(mine,), daemon=True) for mine in told]
    for thread in threads:
        thread.start()
    for number in interrupted(lambda: ledger.append(record(0)), *OURS):
        before = [len(mine) for mine in told]
        until = time.monotonic() + PROMPT
        while any(len(mine) == n for mine, n in zip(told, before, strict=True)):
            assert time.monotonic() < until, f"a thread waits for ever, after moment {number}"
            time.sleep(0.0005)
    stop.set()
    for thread in threads:
        soon(thread.join)
    soon(ledger.close)

    assert number > 100
    assert {*told[0], *told[1]} <= {seq for seq, _ in read(tmp_path)}
    verify(tmp_path)


def test_begin_segment_and_close(tmp_path: Path) -> None:
    """Neither leaves the ledger in a state that keeps anybody waiting, or a file open."""
    ledger = Ledger.open(tmp_path)
    for _ in interrupted(ledger.begin_segment, *OURS):
        soon(lambda: ledger.append(record(0)))
    files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in interrupted(ledger.close, *OURS):
        soon(ledger.close)
        ledger = Ledger.open(tmp_path)
        ledger.append(record(0))
    ledger.close()

    assert len(list(Path("/proc/self/fd").iterdir())) < files
    verify(tmp_path)


def test_use_of_a_key(tmp_path: Path) -> None:
    """No transaction stays open: the next key is durable, and other processes can write."""
    keys, kept = SubjectKeys.open(tmp_path / NAME, bytes(32)), list[Deadline]()
    with closing(sqlite3.connect(tmp_path / NAME, timeout=0, isolation_level=None)) as other:
        for _ in interrupted(lambda: keys.use(f"s{len(kept)}", DAY), *OURS, keep=kept):
            if not keys.database.in_transaction:
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
            soon(lambda: keys.use(f"t{len(kept)}", DAY))
            assert not keys.database.in_transaction
            other.execute("BEGIN IMMEDIATE")
            found = other.execute("SELECT 1 FROM keys WHERE subject = ?", (f"t{len(kept)}",))
            assert found.fetchone()
            other.execute("ROLLBACK")

    keys.close()
    assert len(kept) > 20


@pytest.mark.parametrize("nested", [False, True])
def test_a_block_of_writing(tmp_path: Path, nested: bool) -> None:
    """All of it or nothing, and the next block begins anew."""
    database = connect(tmp_path / "a.sqlite")
    database.execute("CREATE TABLE t (n INTEGER)")

    def twice(value: int) -> None:
        with writing(database):
            database.execute("INSERT INTO t VALUES (?)", (value,))
            with writing(database) if nested else nullcontext():
                database.execute("INSERT INTO t VALUES (?)", (value,))

    with closing(database), closing(sqlite3.connect(tmp_path / "a.sqlite", timeout=0)) as other:
        for number in interrupted(lambda: twice(0), *OURS, __file__):
            twice(number)
            rows = Counter(other.execute("SELECT n FROM t").fetchall())
            assert rows[(number,)] == 2
            assert rows[(0,)] % 2 == 0
        assert number > 10
