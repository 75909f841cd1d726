"""The keys that encrypt what is kept of people: one each, wrapped, and gone when erased."""

import hashlib
import random
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from ledgers import holding, record
from structlog.testing import capture_logs

from safegen.audit.ledger import Ledger
from safegen.audit.ledger.subjects import NAME, SubjectKey, SubjectKeys
from safegen.errors import LedgerError, OutputError

WRAPPING = bytes(range(32))
DAY = "2026-01-31"


def opened(folder: Path, wrapping: bytes = WRAPPING) -> SubjectKeys:
    """The store of this folder."""
    return SubjectKeys.open(folder / NAME, wrapping)


def test_a_subject_has_one_key(tmp_path: Path) -> None:
    """The same subject gets the same key, also after reopening; another gets another."""
    with opened(tmp_path) as keys:
        first, other = keys.use("a", DAY), keys.use("b", DAY)
    with opened(tmp_path) as keys:
        assert keys.use("a", "2026-02-01") == first
        assert keys.find(first.id) == first.key
        assert keys.of("b") == other.id

    assert first.key != other.key
    assert len(first.key) == 32


def test_keys_are_for_their_owner_only_and_wrapped(tmp_path: Path) -> None:
    """The file has mode 0600, and no key can be read from it without the ledger's own."""
    with opened(tmp_path) as keys:
        key = keys.use("a", DAY).key
        assert holding(tmp_path, key) == []
        for path in tmp_path.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    with opened(tmp_path, bytes(32)) as keys:
        with pytest.raises(LedgerError, match="belongs to another ledger"):
            keys.use("a", DAY)
        keys.use("c", DAY)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE subject = 'mine')",
        "DELETE FROM keys WHERE subject = 'a'; UPDATE keys SET subject = 'a'",
    ],
)
def test_a_key_of_one_cannot_pass_as_that_of_another(tmp_path: Path, change: str) -> None:
    """Whoever can write the store cannot give a subject a key that they know."""
    with opened(tmp_path) as keys:
        keys.use("a", DAY)
        keys.use("mine", DAY)
        keys.database.executescript(change)
        with pytest.raises(LedgerError, match="was changed"):
            keys.use("a", DAY)


def test_threads_and_stores_agree(tmp_path: Path) -> None:
    """Threads of two stores that ask for new keys at once all get the same ones."""
    found: dict[str, set[SubjectKey]] = {f"s{n}": set() for n in range(20)}

    def work(keys: SubjectKeys) -> None:
        for subject, known in found.items():
            known.add(keys.use(subject, DAY))

    with opened(tmp_path) as one, opened(tmp_path) as two:
        threads = [threading.Thread(target=work, args=(keys,)) for keys in (one, two) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [len(keys) for keys in found.values()] == [1] * 20


def test_nothing_is_left_of_a_deleted_key(tmp_path: Path) -> None:
    """However many came and went, those that went leave no byte in any file; all others stay."""
    chance, gone = random.Random(1), dict[str, bytes]()
    with opened(tmp_path) as keys:
        keys.database.execute("PRAGMA synchronous = OFF")  # no power cut is tested here
        for turn in range(20):
            for number in range(150):
                keys.use(hashlib.sha256(f"{turn} {number}".encode()).hexdigest(), DAY)
            rows = dict(keys.database.execute("SELECT id, wrapped FROM keys").fetchall())
            chosen = chance.sample(sorted(rows), int(len(rows) * chance.choice([0.05, 0.3, 0.8])))
            assert holding(tmp_path, *(rows[key_id][12:28] for key_id in chosen))

            assert keys.delete(chosen) == len(chosen)
            assert keys.delete(chosen) == 0
            gone |= {key_id: rows[key_id] for key_id in chosen}
            assert holding(tmp_path, *gone, *(wrapped[12:28] for wrapped in gone.values())) == []
            assert not any(map(keys.find, chosen))
            assert all(map(keys.find, rows.keys() - set(chosen)))


def test_only_a_deletion_rebuilds_the_file(tmp_path: Path) -> None:
    """Where nothing was deleted, and no crash left traces, the file is left as it is."""
    with opened(tmp_path) as keys:
        key = keys.use("a", DAY)
        keys.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        keys.use("b", DAY)
        log = (tmp_path / f"{NAME}-wal").stat().st_size
        assert keys.delete(["none"]) == 0
        assert (tmp_path / f"{NAME}-wal").stat().st_size == log > 0
        keys.database.execute("BEGIN")
        keys.database.execute("DELETE FROM keys WHERE id = ?", (key.id,))
        keys.database.execute("PRAGMA user_version = 1")
        keys.database.execute("COMMIT")  # as far as a crash let it come
        assert holding(tmp_path, key.id)
        assert keys.delete(["none"]) == 0
        assert holding(tmp_path, key.id) == []


def test_a_reader_does_not_keep_a_key_alive(tmp_path: Path) -> None:
    """While another process reads, the deletion says that bytes are left; the next one ends it."""
    with opened(tmp_path) as keys, opened(tmp_path) as other:
        key = keys.use("a", DAY)
        other.database.execute("BEGIN")
        other.database.execute("SELECT * FROM keys").fetchall()
        keys.database.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(OutputError, match="cannot empty the log"):
            keys.delete([key.id])
        other.database.execute("COMMIT")
        keys.delete([key.id])

        assert holding(tmp_path, key.id) == []


def test_the_last_day_of_use_counts(tmp_path: Path) -> None:
    """A key that is used again, on a later day, is not among those unused since."""
    with opened(tmp_path) as keys:
        old, again = keys.use("old", "2026-01-01"), keys.use("again", "2026-01-01")
        keys.use("again", "2026-03-01")
        keys.use("again", "2026-02-01")

        assert keys.unused_since("2026-02-02") == [old.id]
        assert keys.unused_since("2026-03-01") == [old.id]
        assert set(keys.unused_since("2026-03-02")) == {old.id, again.id}


def test_a_store_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A folder that is not there is an error with the file's name."""
    with pytest.raises(OutputError, match=r"subjects\.sqlite"):
        opened(tmp_path / "missing")


def damaged(path: Path, start: int) -> None:
    """Overwrite all from there on."""
    data = path.read_bytes()
    path.write_bytes(data[:start] + b"\xa5" * (len(data) - start))


def another(path: Path) -> None:
    """Lay a database with other columns there."""
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE keys (id TEXT, subject TEXT)")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: damaged(path, 4096), "malformed"),
        (another, "no such column"),
    ],
)
def test_a_file_that_is_no_store_is_named(
    tmp_path: Path, change: Callable[[Path], None], why: str
) -> None:
    """A guard that encrypts nothing starts and says so; whoever needs a key gets file and mend."""
    path = tmp_path / NAME
    with Ledger.open(tmp_path) as ledger:
        for number in range(40):
            ledger.subjects.use(f"s{number}", DAY)
    change(path)
    with capture_logs() as logs, Ledger.open(tmp_path) as ledger:
        assert [each["event"] for each in logs] == ["nothing can be encrypted"]
        for needed in ("subjects", "existing_subjects"):
            with pytest.raises(OutputError, match=why) as caught:
                getattr(ledger, needed)
            assert str(path) in str(caught.value)
            assert "restore from a backup" in str(caught.value)
        ledger.append(record(0))
