"""Retention: what is older goes, the rest still proves itself, whatever stops it in between."""

import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from sys import executable
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import event, record
from purging import DAYS, aged, day, days, purged
from writers import outcome, script, small_disk

from safegen.audit.index import Index
from safegen.audit.ledger import Ledger, entries, find, read, standalone, verify
from safegen.audit.ledger.files import WriteLock
from safegen.audit.ledger.format import canonical, chain, decode, segment_name, segments
from safegen.audit.purge import purge
from safegen.errors import LedgerError, LedgerTamperedError, OutputError
from safegen.nouns import Event, Record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The ledger of five days."""
    return days(tmp_path / "ledger")


def tombstones(folder: Path) -> list[Event]:
    """The events that tell of a purge."""
    found = (entry for _, entry in entries(folder) if isinstance(entry, Event))
    return [each for each in found if each.what == "purged"]


def blamed(folder: Path) -> tuple[int, str]:
    """The record that verification names, and what it says was done; both verifiers agree."""
    with pytest.raises(LedgerTamperedError) as caught:
        verify(folder)
    check = standalone.checker((folder / "public.pem").read_bytes())
    with pytest.raises(standalone.TamperedError) as alone:
        standalone.walk(folder, check)
    assert (alone.value.kind, alone.value.seq) == (caught.value.kind, caught.value.seq)
    return caught.value.seq, caught.value.kind


# --- what goes, and what stays ----------------------------------------------------------------


def test_older_segments_go_and_the_rest_verifies(folder: Path) -> None:
    """What is left reads and verifies as before, also with Python alone; each tombstone is told."""
    done = purged(folder, day(3))
    found = verify(folder)
    command = [executable, standalone.__file__, folder, "--json"]
    alone = run(command, check=True, capture_output=True)

    assert (done.segments, done.records) == (3, 6)
    assert [path.name for path in segments(folder)] == [segment_name(n) for n in (3, 4, 5)]
    assert [seq for seq, _ in read(folder)] == [6, 7, 8, 9]
    assert (found.purged, found.records, found.segments) == (6, 7, 3)
    assert b'"purged": 6' in alone.stdout
    assert [(each.details["first"], each.details["last"]) for each in tombstones(folder)] == [
        (0, 1), (2, 3), (4, 5)
    ]  # fmt: skip
    assert tombstones(folder)[0].actor == "os:ann"


def test_a_purge_in_the_middle_of_a_walk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever verifies with Python alone sees the whole ledger before it or after it."""
    check = standalone.checker((folder / "public.pem").read_bytes())
    listed = list[list[Path]]()

    def purging(place: Path) -> list[Path]:
        listed.append(segments(place))
        if len(listed) == 2:  # the walk knows its files, and has opened none
            purged(folder, day(3))
        return listed[-1]

    monkeypatch.setattr(standalone, "segments", purging)
    found = standalone.walk(folder, check)

    assert (found.purged, found.records) == (6, 7)


def test_a_tombstone_fits_the_file(folder: Path) -> None:
    """Whoever kept a copy of a purged segment can prove that it is the one."""
    path = segments(folder)[0]
    kept = path.read_bytes()
    purged(folder, day(1))
    (told,) = tombstones(folder)

    assert told.details["hash"] == decode(kept.splitlines(keepends=True)[-1]).hash
    path.write_bytes(kept)
    assert verify(folder).purged == 0
    assert verify(folder).records == 11


def test_everything_may_go(folder: Path) -> None:
    """A ledger of nothing but tombstones verifies, and is written on; a second purge goes on."""
    with Ledger.open(folder) as other:
        other.append(record(10, hours=24 * 4.5))
        aged(folder, 5, day(4.5))
        assert purged(folder, day(30)).records == 11
        assert list(read(folder)) == []
        other.append(record(11, hours=24 * 40))
        assert purged(folder, day(35)).segments == 0

    assert [seq for seq, _ in read(folder)] == [17]
    assert find(folder, record(11).id)[0] == 17
    assert (verify(folder).purged, verify(folder).records) == (11, 7)


def test_a_clock_that_was_wrong_deletes_nothing(folder: Path) -> None:
    """What is dated years ago, but was written later than what may go, stays, and that is told."""
    aged(folder, 1, day(4))
    done = purged(folder, day(3.5))

    assert (done.segments, done.overdue, done.kept_by) == (1, 3, segment_name(1))
    assert done.last_used == "2026-01-05T00:00:00+00:00"
    assert purged(folder, day(4.5)).segments == 3


@pytest.mark.parametrize("time", ["2099-01-01T00:00:00.000+00:00", "9999", "tomorrow"])
def test_a_time_that_cannot_be_keeps_nothing(tmp_path: Path, time: str) -> None:
    """One in the future, or none, counts as when its segment was written."""
    folder = tmp_path / "ledger"
    with Ledger.open(folder) as ledger:
        ledger.append(record(0))
        ledger.append(record(1).model_copy(update={"time": time}))
        ledger.begin_segment()
    aged(folder, 0, day(3))

    assert purged(folder, day(2.9)).segments == 0
    done = purged(folder, day(3.1))
    assert (done.segments, done.overdue, done.kept_by) == (1, 0, "")


def test_one_purge_at_a_time(folder: Path) -> None:
    """The second says who is at it, and deletes and tells nothing."""
    lock = WriteLock(folder, "purge.lock")
    with lock.held(1), pytest.raises(LedgerError, match=r"another purge .*process \d+ on"):
        purged(folder, day(3))
    lock.close()

    assert tombstones(folder) == []
    assert purged(folder, day(3)).segments == 3


def test_segments_that_hold_newer_records_stay(folder: Path) -> None:
    """A segment goes when its last record is older, not when its first is."""
    assert purged(folder, day(1.4)).segments == 1
    assert purged(folder, day(1.5)).segments == 0
    assert purged(folder, day(1.6)).segments == 1


def test_a_dry_run_touches_nothing(folder: Path) -> None:
    """It says what would go."""
    before = {path: path.read_bytes() for path in folder.glob("*.json*")}
    done = purged(folder, day(30), dry_run=True)

    assert (done.segments, done.records) == (5, 10)
    assert {path: path.read_bytes() for path in folder.glob("*.json*")} == before


def test_what_a_crash_cut_off_goes_too(folder: Path) -> None:
    """Half a record set aside from a purged segment goes with it, another stays."""
    for number in (0, 4):
        (folder / f"0000000{number}.torn-0011223344556677").write_bytes(b"half")
    purged(folder, day(2))

    assert [path.name for path in folder.glob("*.torn-*")] == ["00000004.torn-0011223344556677"]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=4), st.data())
def test_any_purges_leave_a_proof(halves: list[int], data: st.DataObject) -> None:
    """After purges at any times the rest verifies, and one more segment missing is found."""
    with TemporaryDirectory() as folder:
        ledger = days(Path(folder))
        for half in halves:
            purged(ledger, day(half / 2))
        left = [half // 2 for half in halves]
        first = 2 * min(max(left, default=0), DAYS)

        assert [seq for seq, entry in entries(ledger) if isinstance(entry, Record)] == list(
            range(first, 10)
        )
        found = verify(ledger)
        assert found.purged == first
        files = segments(ledger)
        data.draw(st.sampled_from([path for path in files if path.stat().st_size])).unlink()
        assert blamed(ledger)[1] in ("removed", "truncated")


# --- who has the folder, but not the key ------------------------------------------------------


def test_a_segment_without_a_tombstone_is_missed(folder: Path) -> None:
    """Whatever was purged before, the first record that nobody vouches for is named."""
    purged(folder, day(2))
    segments(folder)[0].unlink()

    assert blamed(folder) == (4, "removed")


def test_a_tombstone_cannot_be_forged(folder: Path) -> None:
    """One signed with another key, one without a signature, and words in a record prove nothing."""
    path = segments(folder)[0]
    last = decode(path.read_bytes().splitlines(keepends=True)[-1])
    details = {"segment": 0, "last": 1, "hash": last.hash}
    fake = event(0, "purged").model_copy(update={"details": details}).model_dump(mode="json")
    with Ledger.open(folder) as ledger:
        told = canonical(fake).decode()
        ledger.append(record(10, hours=100).model_copy(update={"error": told}))
    path.unlink()
    end, head = segments(folder)[-1], verify_end(folder)
    whole = end.read_bytes()
    _, signed = chain(11, head, [canonical(fake)], Ed25519PrivateKey.generate())
    _, two = chain(11, head, [canonical(fake), canonical(fake)], Ed25519PrivateKey.generate())

    assert blamed(folder) == (0, "removed")
    end.write_bytes(whole + signed)
    assert blamed(folder) == (11, "altered")
    end.write_bytes(whole + two.splitlines(keepends=True)[0])
    assert blamed(folder) == (0, "removed")


def verify_end(folder: Path) -> str:
    """The hash of the last line."""
    return decode(segments(folder)[-1].read_bytes().splitlines(keepends=True)[-1]).hash


def test_a_tombstone_vouches_for_its_segment_alone(folder: Path, tmp_path: Path) -> None:
    """That of one ledger, or of one segment, does not excuse another."""
    other = days(tmp_path / "other")
    purged(other, day(1))
    segments(folder)[0].unlink()
    assert blamed(folder) == (0, "removed")

    purged(other, day(2))
    for path in segments(other)[:2]:
        path.unlink()
    assert blamed(other) == (4, "removed")


def test_a_changed_beginning_is_found(folder: Path) -> None:
    """The first line that is left is covered as all others are."""
    purged(folder, day(2))
    path = segments(folder)[0]
    whole = path.read_bytes()
    for place in (20, 90, 200, len(whole) - 2):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert blamed(folder)[1] == "altered"
    path.write_bytes(whole.splitlines(keepends=True)[1])
    assert blamed(folder) == (4, "removed")


def test_an_altered_ledger_is_not_purged(folder: Path) -> None:
    """What was done to it could not be found afterwards."""
    path = segments(folder)[0]
    path.write_bytes(path.read_bytes().replace(b'"allowed"', b'"blocked"'))

    with pytest.raises(LedgerTamperedError):
        purged(folder, day(3))
    assert len(segments(folder)) == 6


# --- what stops it in between -----------------------------------------------------------------


def test_what_was_cut_off_is_completed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told and not deleted: it verifies, and the next purge deletes it without telling again."""

    def failing(_: object) -> None:
        raise OutputError("out of order")

    with monkeypatch.context() as patch:
        patch.setattr("safegen.audit.purge._delete", failing)
        with pytest.raises(OutputError):
            purged(folder, day(2))
    assert len(segments(folder)) == 6
    assert verify(folder).records == 11

    assert purged(folder, day(0)).segments == 1
    assert [each.details["segment"] for each in tombstones(folder)] == [0]
    assert verify(folder).purged == 2


def test_a_full_disk_keeps_what_it_cannot_tell_of(tmp_path: Path) -> None:
    """Where no tombstone can be written nothing is deleted; with room again it is."""
    with small_disk(tmp_path, 512) as disk:
        folder = days(disk / "ledger")
        ballast = disk / "ballast"
        with Ledger.open(folder) as ledger, Index.open(folder, tmp_path / "index") as index:
            with pytest.raises(OSError, match="No space"):
                ballast.write_bytes(b"x" * 2**20)
            with pytest.raises(LedgerError, match="No space left"):
                purge(ledger, index, day(2), actor="x" * 2**16)  # more than is left of a block
            assert len(segments(folder)) == 6
            ballast.unlink()
            ledger.begin_segment()
            assert purge(ledger, index, day(2), actor="x").segments == 2
        assert verify(folder).purged == 4


@pytest.fixture
def writing(folder: Path) -> Iterator[list[int]]:
    """The numbers of records that threads append meanwhile."""
    stop, kept = threading.Event(), list[int]()

    def work() -> None:
        while not stop.is_set():
            kept.append(ledger.append(record(99, hours=24 * 50)).seq)

    with Ledger.open(folder) as ledger:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        yield kept
        stop.set()
        for thread in threads:
            thread.join()


def test_while_others_write_and_read(folder: Path, writing: list[int]) -> None:
    """Writers, readers and verifiers at work see a whole ledger at every moment."""
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append(verify(folder).purged)
            numbers = [seq for seq, _ in entries(folder)]
            assert numbers == sorted(set(numbers))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        done = [purged(folder, day(number)).segments for number in range(1, 5)]
    finally:
        stop.set()
        reader.join()

    assert done == [1, 1, 1, 1]
    assert seen == sorted(seen)
    assert set(writing) <= {seq for seq, _ in read(folder)}
    assert verify(folder).purged == 8


KILLED = """
from datetime import datetime, timedelta, UTC
from safegen.audit.index import Index
from safegen.audit.ledger.format import segments
from safegen.audit.purge import purge
from pathlib import Path

START = datetime(2000, 1, 1, tzinfo=UTC)

def of_day(number):
    made = (START + timedelta(days=number)).isoformat()
    return record(number).model_copy(update={"time": made})

def work(before, told):
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        os.write(told, b"!")
        purge(ledger, index, before, actor="x")

cut_off = 0
for turn in range(12):
    day = 12 * turn
    time.sleep(0.02)  # the clock of files is coarse
    before = datetime.now(UTC)  # what was written in this turn is not older, unless it is made so
    with Ledger.open(folder) as ledger:
        for number in range(day, day + 12):
            ledger.begin_segment()
            ledger.append(of_day(number))
    for path in segments(Path(folder))[:-1]:
        os.utime(path, (0, 0))
    killed_at_work(lambda told: work(before, told), 0.08)
    verify(folder)
    told = {e.details["segment"] for _, e in entries(folder) if getattr(e, "what", "") == "purged"}
    there = {int(path.stem) for path in segments(Path(folder))}
    cut_off += bool(told & there)
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        purge(ledger, index, before, actor="x")
    verify(folder)
    days = [e.id for _, e in entries(folder) if isinstance(e, Record)]
    assert days == [f"r{day + 11}"], (day, days)
print(cut_off)
"""


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Killed again and again: the ledger verifies at once, and the next purge ends the work."""
    code, out, err = outcome(script(KILLED, tmp_path))

    assert code == 0, err
    assert out.splitlines()[-1].isdecimal()  # before it stands each write that was cut off
