"""What of a ledger can be shipped: whole commits, in order, that a signature vouches for."""

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from ledgers import START, event, ledger, record
from purging import aged
from writers import fill, outcome, script

from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.purge import purge
from safegen.audit.sinks.base import Batch, Cursor
from safegen.audit.sinks.source import Source
from safegen.errors import LedgerError, LedgerTamperedError, Tampering
from safegen.nouns import Event

SEGMENT = "00000000.jsonl"


def start(source: Source) -> Cursor:
    """Before the first line."""
    return Cursor(ledger=source.ledger)


def numbers(batch: Batch) -> list[int]:
    """Of its lines."""
    return [item.line.seq for item in batch.items]


def test_batches_follow_each_other_through_segments(tmp_path: Path) -> None:
    """Each begins where the one before ended, records and events alike."""
    given = [record(0), event(1, "upheld", record(0)), *map(record, range(2, 7))]
    source = Source(ledger(tmp_path, *given, segment_bytes=900))
    batches = list(source.batches(start(source), 3))

    assert [numbers(batch) for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert batches[0].before == start(source)
    assert [batch.before for batch in batches[1:]] == [batch.after for batch in batches[:-1]]
    assert [item.entry for batch in batches for item in batch.items] == given
    assert list(source.batches(batches[-1].after, 3)) == []
    assert [numbers(each) for each in source.batches(batches[0].after, 9)] == [[3, 4, 5, 6]]


def test_a_batch_ends_with_a_commit(tmp_path: Path) -> None:
    """Lines that were signed together stay together, since one signature is all they have."""
    code, _, err = outcome(
        script(
            """
with Ledger.open(folder) as ledger:
    ledger._write([canonical(record(n).model_dump(mode="json")) for n in range(5)])
    ledger.append(record(5))
""",
            tmp_path,
        )
    )
    assert code == 0, err
    source = Source(tmp_path)

    assert [numbers(batch) for batch in source.batches(start(source), 2)] == [[0, 1, 2, 3, 4], [5]]
    [batch, _] = source.batches(start(source), 2)
    for count in range(1, 6):  # a sink may take some of a commit, whose signature was checked
        cursor = batch.after_first(count)
        source.require(cursor, "the sink")
        assert [numbers(each) for each in source.batches(cursor, 9)] == [[*range(count, 6)]]
    assert batch.after_first(5) == batch.after


def test_what_no_signature_vouches_for_stays(tmp_path: Path) -> None:
    """Lines of a commit that was cut off are not given."""
    fill(tmp_path, 2)
    segment = tmp_path / SEGMENT
    with segment.open("ab") as file:
        [_, last] = segment.read_bytes().splitlines(keepends=True)
        file.write(re.sub(rb',"signature":"[0-9a-f]{128}"\}\n$', b"}\n", last) + last[:50])
    source = Source(tmp_path)

    assert [numbers(batch) for batch in source.batches(start(source), 9)] == [[0, 1]]


def test_what_may_not_be_on_the_disk_stays(tmp_path: Path) -> None:
    """A signed line comes once the checkpoint counts it, which is when a sync has made it safe."""
    fill(tmp_path, 2)
    checkpoint = (tmp_path / "checkpoint.json").read_bytes()
    fill(tmp_path, 2)
    (tmp_path / "checkpoint.json").write_bytes(checkpoint)
    source = Source(tmp_path)
    before = [numbers(batch) for batch in source.batches(start(source), 9)]
    fill(tmp_path, 0)  # the next writer finds them whole and counts them
    after = [numbers(batch) for batch in source.batches(start(source), 9)]

    assert (before, after) == ([[0, 1]], [[0, 1, 2, 3]])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda lines: [lines[0], lines[2]], Tampering.REMOVED),
        (lambda lines: [lines[0], lines[1], lines[1]], Tampering.FORKED),
    ],
)
def test_lines_that_do_not_follow(tmp_path: Path, change: object, kind: Tampering) -> None:
    """A line that is missing or twice ends the shipping, after what stands before it."""
    fill(tmp_path, 3)
    segment = tmp_path / SEGMENT
    assert callable(change)
    segment.write_bytes(b"".join(change(segment.read_bytes().splitlines(keepends=True))))
    source = Source(tmp_path)
    batches = source.batches(start(source), 1)

    assert numbers(next(batches)) == [0]
    with pytest.raises(LedgerTamperedError) as caught:
        list(batches)
    assert caught.value.kind == kind


def test_lines_signed_by_somebody_else(tmp_path: Path) -> None:
    """A chain that is whole, but made with another key, is not shipped."""
    fill(tmp_path / "mine", 2)
    fill(tmp_path / "other", 2)
    (tmp_path / "mine" / SEGMENT).write_bytes((tmp_path / "other" / SEGMENT).read_bytes())
    source = Source(tmp_path / "mine")

    with pytest.raises(LedgerTamperedError, match="not signed with this ledger's key"):
        list(source.batches(start(source), 1))


def test_another_end_than_the_checkpoint_tells(tmp_path: Path) -> None:
    """A last line that is signed, but not the one that was written last, is a second history."""
    fill(tmp_path / "one", 1)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for name, number in (("one", 1), ("two", 2)):
        with Ledger.open(tmp_path / name) as opened:
            opened.append(record(number))
    (tmp_path / "one" / SEGMENT).write_bytes((tmp_path / "two" / SEGMENT).read_bytes())
    source = Source(tmp_path / "one")

    with pytest.raises(LedgerTamperedError) as caught:
        next(source.batches(start(source), 9))
    assert caught.value.kind == Tampering.FORKED


def test_a_changed_line(tmp_path: Path) -> None:
    """A byte that was changed gives an error, not a record."""
    fill(tmp_path, 2)
    segment = tmp_path / SEGMENT
    segment.write_bytes(segment.read_bytes().replace(b'"id":"r1"', b'"id":"rX"'))
    source = Source(tmp_path)

    with pytest.raises(LedgerError, match="does not match its hash"):
        list(source.batches(start(source), 9))


def test_a_cursor_must_be_of_this_chain(tmp_path: Path) -> None:
    """One of another ledger, or of a history that this folder does not have, is an error."""
    fill(tmp_path / "ledger", 2)
    source = Source(tmp_path / "ledger")
    source.require(start(source), "the sink")
    [batch] = source.batches(start(source), 9)
    source.require(batch.after, "the sink")

    with pytest.raises(LedgerError, match="the sink was fed from another ledger"):
        source.require(start(source).model_copy(update={"ledger": "0" * 64}), "the sink")
    with pytest.raises(LedgerError, match=r"up to line 1 .* not in"):
        source.require(batch.after.model_copy(update={"hash": "f" * 64}), "the sink")


def test_an_old_copy_of_the_ledger(tmp_path: Path) -> None:
    """A backup that ends before the cursor is an error, though it is whole."""
    fill(tmp_path, 1)
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with Ledger.open(tmp_path) as opened:
        opened.append(record(1))
    source = Source(tmp_path)
    [batch] = source.batches(start(source), 9)
    for name, data in old.items():
        (tmp_path / name).write_bytes(data)

    with pytest.raises(LedgerError, match="an old copy"):
        source.require(batch.after, "the sink")


def test_count_is_what_was_vouched_for(tmp_path: Path) -> None:
    """The signed checkpoint says how many lines there are; a changed one is an error."""
    fill(tmp_path, 2)
    source = Source(tmp_path)
    assert source.count() == 2

    checkpoint = tmp_path / "checkpoint.json"
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b'"count":2', b'"count":3'))
    with pytest.raises(LedgerError, match=r"checkpoint\.json is missing or was changed"):
        source.count()


def test_no_ledger(tmp_path: Path) -> None:
    """A folder without a ledger is named."""
    with pytest.raises(LedgerError, match="is not a ledger"):
        Source(tmp_path)


@pytest.fixture
def purged(tmp_path: Path) -> tuple[Source, list[Batch]]:
    """A ledger of four records, the first two of which were purged, and its batches before that."""
    with Ledger.open(tmp_path) as opened:
        for number in range(4):
            opened.append(record(number, hours=24 * number))
            opened.begin_segment()
        batches = list(Source(tmp_path).batches(start(Source(tmp_path)), 1))
        for number in range(2):
            aged(tmp_path, number)
        with Index.open(tmp_path) as index:
            purge(opened, index, START + timedelta(days=1.5), actor="os:ann", reason="old")
    return Source(tmp_path), batches


@pytest.mark.parametrize("delivered", [0, 1, 2, 3])
def test_what_was_purged_is_passed_over(purged: tuple[Source, list[Batch]], delivered: int) -> None:
    """Wherever a sink stands, the rest follows its own cursor, and tells what was purged."""
    source, batches = purged
    cursor = batches[delivered - 1].after if delivered else start(source)
    source.require(cursor, "a sink")
    found = list(source.batches(cursor, 99))

    assert [batch.before for batch in found] == [cursor]
    assert numbers(found[0]) == list(range(max(delivered, 2), 6))
    assert [item.entry.what for item in found[0].items if isinstance(item.entry, Event)] == [
        "purged",
        "purged",
    ]


def test_a_line_that_is_left_does_not_stand_where_it_was_purged(
    purged: tuple[Source, list[Batch]],
) -> None:
    """A cursor at a later line than that segment had would have lines delivered anew."""
    source, batches = purged
    cursor = batches[0].after.model_copy(update={"seq": batches[2].after.seq})
    with pytest.raises(LedgerTamperedError, match="stands no longer where it did") as caught:
        list(source.batches(cursor, 99))
    assert caught.value.kind == Tampering.FORKED


def test_a_beginning_that_was_just_taken_away_is_not_passed_over(
    purged: tuple[Source, list[Batch]],
) -> None:
    """No tombstone tells of the third segment."""
    source, _ = purged
    (source.folder / "00000002.jsonl").unlink()
    with pytest.raises(LedgerTamperedError) as caught:
        list(source.batches(start(source), 99))
    assert caught.value.kind == Tampering.REMOVED


def test_what_is_taken_away_meanwhile_is_not_passed_over(tmp_path: Path) -> None:
    """The next try finds out whether it was purged."""
    source = Source(ledger(tmp_path, *map(record, range(4)), segment_bytes=1))
    batches = source.batches(start(source), 1)
    assert numbers(next(batches)) == [0]
    for number in (0, 1):
        (tmp_path / f"0000000{number}.jsonl").unlink()

    with pytest.raises(LedgerTamperedError, match="line 2 does not follow line 0") as caught:
        list(batches)
    assert caught.value.kind == Tampering.REMOVED


def test_what_is_purged_as_it_is_read_is_passed_over(tmp_path: Path) -> None:
    """A purge between two batches is no tampering; its events come, and all that it left."""
    with Ledger.open(tmp_path) as opened, Index.open(tmp_path) as index:
        for number in range(8):
            opened.append(record(number, hours=24 * number))
            opened.begin_segment()
        source = Source(tmp_path)
        batches = source.batches(start(source), 1)
        got = [next(batches), next(batches)]
        purge(opened, index, START + timedelta(days=5.5), actor="os:ann", reason="old")
        got += batches

    delivered = [number for batch in got for number in numbers(batch)]
    assert delivered == sorted(delivered)
    assert delivered[:2] == [0, 1]
    assert set(delivered) >= {6, 7}
    assert [b.before for b in got[1:]] == [b.after for b in got[:-1]]
    cursor = got[-1].after
    source.require(cursor, "a sink")
    rest = [number for batch in source.batches(cursor, 99) for number in numbers(batch)]
    assert [*delivered, *rest] == [0, 1, *sorted({*delivered[2:], *rest})]
    assert (delivered + rest)[-1] == source.count() - 1
