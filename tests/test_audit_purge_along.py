"""What goes along with purged records: originals, keys, and what an index knew of them."""

import os
from pathlib import Path
from subprocess import run
from sys import executable

import pytest
from ledgers import SECRET, asked, event, holding, image, index_changed, planted, record
from PIL import Image
from purging import aged, day, days, purged

from safegen.audit.erase import erase
from safegen.audit.evidence import pack
from safegen.audit.filters import Filters
from safegen.audit.held import ImageStore
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger, read, verify
from safegen.audit.ledger.format import segments
from safegen.audit.ledger.masking import key_of, revealed
from safegen.audit.purge import purge
from safegen.audit.search import every, verdicts
from safegen.audit.trends import trends
from safegen.errors import InputError, LedgerError
from safegen.nouns import Outcome, Scores


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The ledger of five days."""
    return days(tmp_path / "ledger")


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
        aged(folder)
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
        aged(tmp_path)
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
    for number in range(2):
        aged(tmp_path / "ledger", number, day(number))
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
        aged(tmp_path)
        with Index.open(tmp_path) as index:
            done = purge(ledger, index, day(1), actor="x")

        assert (done.segments, done.keys) == (1, 2)
        assert ledger.subjects.of(gone.subject) == ""
        assert ledger.subjects.of(f"record:{alone.id}") == ""
        assert ledger.subjects.of(back.subject)
    assert holding(tmp_path, gone.subject) == []


def test_keys_last_used_on_the_day_of_the_oldest_record_go_a_day_later(tmp_path: Path) -> None:
    """A key knows its last day and no hour; it goes once no record of that day is left."""
    with Ledger.open(tmp_path) as ledger, Index.open(tmp_path) as index:
        for number, hours in enumerate((1, 12, 72)):
            asked(ledger, record(number, hours=hours), user=f"user-{number}")
            ledger.begin_segment()
        for number in (0, 1):
            aged(tmp_path, number)
        same_day = purge(ledger, index, day(0.25), actor="x")
        later = purge(ledger, index, day(2), actor="x")

    assert (same_day.segments, same_day.keys) == (1, 0)
    assert (later.segments, later.keys) == (1, 2)


def test_keys_stay_with_records_that_a_younger_one_keeps(tmp_path: Path) -> None:
    """A segment stays for its last record, and what its older ones hold stays legible with it."""
    with Ledger.open(tmp_path) as ledger:
        for number, user in enumerate(["old", "young"]):
            asked(ledger, record(number, hours=48 * number), user=user)
        ledger.begin_segment()
        aged(tmp_path, 0, day(2))
        with Index.open(tmp_path) as index:
            done = purge(ledger, index, day(1.5), actor="x")
        kept = [entry for _, entry in read(tmp_path)]

        assert (done.segments, done.keys) == (0, 0)
        assert [revealed(each, ledger, actor="x")["prompt"] for each in kept] == [SECRET] * 2


@pytest.mark.parametrize("dry_run", [False, True])
def test_without_the_file_of_keys_nothing_goes(tmp_path: Path, dry_run: bool) -> None:
    """Records whose keys stand in another file stay, unless that is said to be lost."""
    folder, keys = tmp_path / "ledger", tmp_path / "keys.sqlite"
    with Ledger.open(folder, subjects=keys) as ledger, Index.open(folder) as index:
        kept = asked(ledger, record(0, hours=0))
        ledger.begin_segment()
        asked(ledger, record(1, hours=48), user="bob-1234")
    aged(folder)
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
    aged(tmp_path)

    assert purged(tmp_path, day(1)).segments == 1


def test_an_erasing_that_was_cut_off_is_completed_first(tmp_path: Path) -> None:
    """Else nobody would know of it once the event that tells of it is gone."""
    with Ledger.open(tmp_path) as ledger:
        kept = asked(ledger, record(0, hours=0))
        told = event(0, "erased").model_copy(update={"time": day(0).isoformat()})
        ledger.append(told.model_copy(update={"details": {"key": key_of(kept)}}))
        ledger.begin_segment()
        asked(ledger, record(1, hours=48))
        aged(tmp_path)
        with Index.open(tmp_path) as index:
            purge(ledger, index, day(1), actor="x")

        assert ledger.subjects.find(key_of(kept)) is None


def test_evidence_of_a_purged_ledger(folder: Path, tmp_path: Path) -> None:
    """A pack of it is made, and its verifier accepts it."""
    purged(folder, day(2))
    packed = pack(folder, Filters(), tmp_path / "pack")
    verifier = [executable, tmp_path / "pack" / "verify.py", tmp_path / "pack" / "ledger"]

    assert packed.records == 6
    assert run(verifier, check=False, capture_output=True).returncode == 0


def test_what_nobody_signed_purges_nothing(folder: Path) -> None:
    """An index that tells of tombstones that never were deletes no segment."""
    with Ledger.open(folder) as ledger:
        ledger.append(event(0, "signed_in"))
    stone = event(1, "purged").model_copy(update={"details": {"segment": 0}})
    (start,) = planted(folder, (99, stone))
    index_changed(folder, "INSERT INTO events VALUES (99, 0, 'purged', '', '', -1, ?)", start)
    before = segments(folder)

    assert purged(folder, day(0)).segments == 0
    assert segments(folder) == before
    assert verify(folder).records == 11


def test_an_index_with_other_times_drops_no_key(tmp_path: Path) -> None:
    """How old the oldest record is the ledger says; without a record the index keeps no key."""
    with Ledger.open(tmp_path) as ledger:
        gone = asked(ledger, record(0, hours=0), user="gone")
        ledger.begin_segment()
        kept = asked(ledger, record(1, hours=48), user="kept")
        ledger.begin_segment()
        for number in range(2):
            aged(tmp_path, number, day(2 * number))
    index_changed(tmp_path, "UPDATE records SET time = time + 100000000000")
    done = purged(tmp_path, day(1))

    assert (done.segments, done.keys) == (1, 1)
    with Ledger.open(tmp_path) as ledger:
        assert ledger.subjects.of(gone.subject) == ""
        assert revealed(kept, ledger, actor="x")["prompt"] == SECRET


def test_an_erasing_that_the_index_hides_is_completed(tmp_path: Path) -> None:
    """The purge reads of it in the ledger."""
    with Ledger.open(tmp_path) as ledger:
        kept = asked(ledger, record(0, hours=0))
        ledger.append(event(0, "erased").model_copy(update={"details": {"key": key_of(kept)}}))
    index_changed(tmp_path, "DELETE FROM events")
    purged(tmp_path, day(-1))

    with Ledger.open(tmp_path) as ledger:
        assert ledger.subjects.find(key_of(kept)) is None
