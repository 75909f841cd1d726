"""Retention: what is older goes, the rest still proves itself, whatever stops it in between."""

import os
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import run
from sys import executable
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import START, asked, event, holding, image, record
from PIL import Image
from writers import outcome, script, small_disk

from safegen.audit.erase import erase
from safegen.audit.evidence import pack
from safegen.audit.filters import Filters
from safegen.audit.held import ImageStore
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger, entries, find, read, standalone, verify
from safegen.audit.ledger.format import canonical, chain, decode, segment_name, segments
from safegen.audit.ledger.masking import key_of
from safegen.audit.purge import Purged, purge
from safegen.audit.search import every, verdicts
from safegen.audit.trends import trends
from safegen.errors import InputError, LedgerError, LedgerTamperedError, OutputError
from safegen.nouns import Event, Outcome, Record, Scores

DAYS = 5


def day(number: float) -> datetime:
    """The beginning of a day, counted from that of the first record."""
    return START + timedelta(days=number)


def days(folder: Path, count: int = DAYS) -> Path:
    """A ledger with two records a day, each day in a segment of its own, and a day that begins."""
    with Ledger.open(folder) as ledger:
        for number in range(count):
            for half in range(2):
                kind = Outcome.BLOCKED if half else Outcome.ALLOWED
                ledger.append(record(2 * number + half, kind, hours=24 * number + 12 * half))
            ledger.begin_segment()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The ledger of five days."""
    return days(tmp_path / "ledger")


def purged(folder: Path, before: datetime, **more: object) -> Purged:
    """What comes of a purge."""
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        return purge(ledger, index, before, actor="os:ann", reason="old", **more)  # type: ignore[arg-type]


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
        assert purged(folder, day(30)).records == 11
        assert list(read(folder)) == []
        other.append(record(11, hours=24 * 40))
        assert purged(folder, day(35)).segments == 0

    assert [seq for seq, _ in read(folder)] == [17]
    assert find(folder, record(11).id)[0] == 17
    assert (verify(folder).purged, verify(folder).records) == (11, 7)


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


# --- what goes with them ----------------------------------------------------------------------


def test_an_index_forgets(folder: Path) -> None:
    """An index that knew the purged records ends as one that never did."""
    with Ledger.open(folder) as ledger:
        ledger.append(event(0, "upheld", record(1)))
    with Index.open(folder) as index:
        index.update()
        assert trends(index, Filters(), 24).requests == 10
        assert sum(each.upheld for each in verdicts(index)) > 0
    purged(folder, day(3))

    with Index.open(folder) as index, Index.open(folder, folder.parent / "fresh") as fresh:
        fresh.update()
        for table in ("records", "fired", "scores", "events", "hours"):
            asked_for = f"SELECT * FROM {table}"  # noqa: S608
            rows = [sorted(each.database.execute(asked_for)) for each in (index, fresh)]
            assert rows[0] == rows[1], table
        assert verdicts(index) == verdicts(fresh) == []
        assert trends(index, Filters(), 24).outcomes == {"allowed": 2, "blocked": 2}
        assert [row.seq for row in every(index, Filters())] == [9, 8, 7, 6]
        assert index.update() == 0
        with pytest.raises(LedgerError, match="no record"):
            index.find(record(0).id)


def test_names_go_with_the_last_record_that_has_them(tmp_path: Path) -> None:
    """Of tenants, policies, rules and scores; they are in no file any more, nor in a filter."""
    folder = tmp_path / "ledger"
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        old = record(0, Outcome.BLOCKED, tenant="jane.doe", policy="oldpolicy", hours=0)
        ledger.append(old.model_copy(update={"scores": Scores(values={"oldscore": 0.5})}))
        ledger.append(event(0, "upheld", old).model_copy(update={"time": old.time}))
        ledger.begin_segment()
        ledger.append(record(1, Outcome.REVIEW, hours=48))
        index.update()
        assert index.names.of("tenant") == ["acme", "jane.doe"]
        purge(ledger, index, day(1), actor="x")

        assert index.names.of("tenant") == ["acme"]
        assert index.names.of("rule") == ["ask.first"]
        assert index.names.of("score") == ["nudity", "violence"]
        assert [name.split()[0] for name in index.names.of("policy")] == ["default"]
        with pytest.raises(InputError, match=r"no record has the tenant 'jane\.doe'"):
            list(every(index, Filters(tenant="jane.doe")))
        assert verdicts(index) == []
    assert holding(folder, "jane.doe", "oldpolicy", "oldscore", "block.gore") == []


def test_an_index_that_is_open_elsewhere_takes_no_old_name_for_a_new_one(tmp_path: Path) -> None:
    """A number that another process freed, and gave to another name, is not used from memory."""
    with Ledger.open(tmp_path) as ledger, Index.open(tmp_path) as served:
        ledger.append(record(0, tenant="first", hours=0))
        ledger.append(record(1, tenant="last", hours=1))
        served.update()
        ledger.begin_segment()
        ledger.append(record(2, tenant="first", hours=48))
        with Index.open(tmp_path) as index:
            purge(ledger, index, day(1), actor="x")
            ledger.append(record(3, tenant="new", hours=49))
            index.update()
        ledger.append(record(4, tenant="last", hours=50))
        served.update()

        found = {
            tenant: [row.seq for row in every(served, Filters(tenant=tenant))]
            for tenant in served.names.of("tenant")
        }
    assert found == {"first": [2], "new": [4], "last": [5]}


def test_held_originals_go_with_their_records(tmp_path: Path) -> None:
    """Those of purged records go, unless they were held again later; all others stay."""
    store = ImageStore(tmp_path / "held")
    old, again, new = (
        store.put(Image.new("RGB", (8, 8), color)) for color in ("red", "tan", "blue")
    )
    for digest in (old, new):
        os.utime(store.folder / f"{digest}.png", (0, 0))
    with Ledger.open(tmp_path / "ledger") as ledger:
        for number, digest in enumerate([old, again, new]):
            ledger.begin_segment()
            flagged = image(Outcome.BLOCKED).model_copy(update={"held": digest})
            ledger.append(record(number, images=[flagged], hours=24 * number))
    done = purged(tmp_path / "ledger", day(1.5), images=store)

    assert (done.held, done.images) == (2, 1)
    assert [store.get(digest) is not None for digest in (old, again, new)] == [False, True, True]


def test_what_killed_writes_of_originals_left_goes_too(tmp_path: Path) -> None:
    """A picture that was half kept, as old as what goes; a dry run leaves it, as it does all."""
    store = ImageStore(tmp_path / "held")
    left = store.folder / f"{'0' * 64}.{'1' * 32}"
    left.write_bytes(b"half a picture")
    os.utime(left, (0, 0))
    folder = days(tmp_path / "ledger", 1)

    purged(folder, day(0), images=store, dry_run=True)
    assert left.exists()
    purged(folder, day(0), images=store)
    assert not left.exists()


def test_keys_go_with_the_last_record(tmp_path: Path) -> None:
    """Who has no record left loses the key, who has keeps it."""
    with Ledger.open(tmp_path) as ledger:
        gone = asked(ledger, record(0, hours=0), user="gone")
        asked(ledger, record(1, hours=0), user="back")
        alone = asked(ledger, record(2, hours=0), user="")
        ledger.begin_segment()
        back = asked(ledger, record(3, hours=48), user="back")
        with Index.open(tmp_path) as index:
            done = purge(ledger, index, day(1), actor="x")

        assert (done.segments, done.keys) == (1, 2)
        assert ledger.subjects.of(gone.subject) == ""
        assert ledger.subjects.of(f"record:{alone.id}") == ""
        assert ledger.subjects.of(back.subject)
    assert holding(tmp_path, gone.subject) == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_without_the_file_of_keys_nothing_goes(tmp_path: Path, dry_run: bool) -> None:
    """Records whose keys stand in another file stay, unless that is said to be lost."""
    folder, keys = tmp_path / "ledger", tmp_path / "keys.sqlite"
    with Ledger.open(folder, subjects=keys) as ledger, Index.open(folder) as index:
        kept = asked(ledger, record(0, hours=0))
        ledger.begin_segment()
        asked(ledger, record(1, hours=48), user="bob-1234")
    before = {path: path.read_bytes() for path in segments(folder)}
    with pytest.raises(LedgerError, match=f"{key_of(kept)} is not in .*no such file"):
        purged(folder, day(1), dry_run=dry_run)

    assert {path: path.read_bytes() for path in segments(folder)} == before
    assert purged(folder, day(1), dry_run=dry_run, lost=True).segments == 1
    assert not (folder / "subjects.sqlite").exists()
    with Ledger.open(folder, subjects=keys) as ledger, Index.open(folder) as index:
        assert purge(ledger, index, day(1), actor="x").keys == 1


def test_keys_that_were_erased_are_not_missed(tmp_path: Path) -> None:
    """Where every key of what goes was erased, its file may be gone as well."""
    with Ledger.open(tmp_path) as ledger, Index.open(tmp_path) as index:
        kept = asked(ledger, record(0, hours=0))
        ledger.begin_segment()
        asked(ledger, record(1, hours=48), user="bob-1234")
        erase(ledger, index, kept.subject, actor="x")
    (tmp_path / "subjects.sqlite").unlink()

    assert purged(tmp_path, day(1)).segments == 1


def test_an_erasing_that_was_cut_off_is_completed_first(tmp_path: Path) -> None:
    """Else nobody would know of it once the event that tells of it is gone."""
    with Ledger.open(tmp_path) as ledger:
        kept = asked(ledger, record(0, hours=0))
        told = event(0, "erased").model_copy(update={"time": day(0).isoformat()})
        ledger.append(told.model_copy(update={"details": {"key": key_of(kept)}}))
        ledger.begin_segment()
        asked(ledger, record(1, hours=48))
        with Index.open(tmp_path) as index:
            purge(ledger, index, day(1), actor="x")

        assert ledger.subjects.find(key_of(kept)) is None


def test_evidence_of_a_purged_ledger(folder: Path, tmp_path: Path) -> None:
    """A pack of it is made, and its verifier accepts it."""
    purged(folder, day(2))
    with Index.open(folder) as index:
        packed = pack(index, Filters(), tmp_path / "pack")
    verifier = [executable, tmp_path / "pack" / "verify.py", tmp_path / "pack" / "ledger"]

    assert packed.records == 6
    assert run(verifier, check=False, capture_output=True).returncode == 0


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

START = datetime(2100, 1, 1, tzinfo=UTC)  # the events, which are of now, are older

def of_day(number):
    made = (START + timedelta(days=number)).isoformat()
    return record(number).model_copy(update={"time": made})

def work(day, told):
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        os.write(told, b"!")
        purge(ledger, index, START + timedelta(days=day + 11), actor="x")

cut_off = 0
for turn in range(12):
    day = 12 * turn
    with Ledger.open(folder) as ledger:
        for number in range(day, day + 12):
            ledger.begin_segment()
            ledger.append(of_day(number))
    killed_at_work(lambda told: work(day, told), 0.08)
    verify(folder)
    told = {e.details["segment"] for _, e in entries(folder) if getattr(e, "what", "") == "purged"}
    there = {int(path.stem) for path in segments(Path(folder))}
    cut_off += bool(told & there)
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        purge(ledger, index, START + timedelta(days=day + 11), actor="x")
    verify(folder)
    days = [e.id for _, e in entries(folder) if isinstance(e, Record)]
    assert days == [f"r{day + 11}"], (day, days)
print(cut_off)
"""


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Killed again and again: the ledger verifies at once, and the next purge ends the work."""
    code, out, err = outcome(script(KILLED, tmp_path))

    assert code == 0, err
    assert out.strip().isdecimal()
