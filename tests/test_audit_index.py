"""The index of a ledger: what it knows, and how it keeps up."""

import json
import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from ledgers import START, event, forge, image, index_changed, ledger, planted, record

from safegen.audit.filters import State
from safegen.audit.index import NAME, Index
from safegen.audit.ledger import verify
from safegen.errors import InputError, LedgerError, LedgerTamperedError, OutputError
from safegen.nouns import Outcome


def states(folder: Path) -> list[State]:
    """The state of every record, in order."""
    with Index.open(folder) as index:
        index.update()
        found = index.database.execute("SELECT seq FROM records ORDER BY seq").fetchall()
        return [index.record(seq)[0].state for (seq,) in found]


def test_records_and_events_are_found_again(tmp_path: Path) -> None:
    """Whatever segment a line is in, the index gives the record or event that was written."""
    first, second = record(0), record(1, Outcome.BLOCKED)
    said = event(2, "upheld", second, actor="ann", reason="right")
    ledger(tmp_path, first, second, said, segment_bytes=1)
    with Index.open(tmp_path) as index:
        assert index.update() == 3
        assert index.record(index.find(first.id))[1] == first
        assert index.record(index.find(second.id[:8]))[1] == second
        assert index.events_about(second.id) == [(2, said)]
        assert index.events() == [(2, said)]
        assert index.events(what="signed_in") == []
        assert index.events(before=2) == []


def test_who_did_what_is_counted(tmp_path: Path) -> None:
    """By account and kind, since a moment; and listed by both."""
    seen = record(0)
    ledger(
        tmp_path,
        seen,
        *(event(number, "image_viewed", seen, actor="ann") for number in range(3)),
        event(3, "signed_in", actor="ben"),
    )
    with Index.open(tmp_path) as index:
        index.update()

        everything = index.count_events(START)
        assert everything == {"ann": {"image_viewed": 3}, "ben": {"signed_in": 1}}
        assert index.count_events(START + timedelta(days=30, hours=3)) == {"ben": {"signed_in": 1}}
        found = index.events(actor="ann", what="image_viewed", before=3)
        assert [seq for seq, _ in found] == [2, 1]
        assert index.events(actor="ben", what="image_viewed") == []
        assert index.seqs([seen.id, "gone"]) == {seen.id: 0}


def test_what_is_for_review(tmp_path: Path) -> None:
    """Stopped requests and flagged images wait for a person; the last verdict counts."""
    flagged = record(2, images=[image(unsafe=0.5)])
    blocked = record(3, Outcome.BLOCKED)
    ledger(
        tmp_path,
        record(0, images=[image(unsafe=0.49)]),
        record(1, Outcome.REVIEW),
        flagged,
        blocked,
        record(4, images=[image(Outcome.BLOCKED)]),
        event(0, "escalated", blocked),
        event(1, "upheld", blocked),
        event(2, "image_viewed", flagged),
    )

    assert states(tmp_path) == [
        State.NONE,
        State.OPEN,
        State.OPEN,
        State.UPHELD,
        State.OPEN,
    ]


def test_a_verdict_about_one_image_leaves_the_others_open(tmp_path: Path) -> None:
    """A record waits until each image that was flagged or withheld was judged, or the request."""
    unsafe = [image(), *[image(Outcome.BLOCKED, unsafe=0.9)] * 2]
    three, asked = record(0, images=unsafe), record(1, Outcome.BLOCKED, images=unsafe)
    first, second = {"image": 1}, {"image": 2}
    said = [
        (event(0, "overturned", three), {"image": 0}, State.OPEN),  # nobody stopped that one
        (event(1, "overturned", three), {"image": "one"}, State.OPEN),
        (event(2, "overturned", three), first, State.OPEN),
        (event(3, "escalated", three), second, State.ESCALATED),
        (event(4, "overturned", three), second, State.OVERTURNED),
        (event(5, "upheld", three), first, State.UPHELD),
        (event(6, "overturned", three), {}, State.OVERTURNED),
        (event(7, "upheld", three), second, State.UPHELD),
        (event(8, "escalated", three), {}, State.ESCALATED),
        (event(9, "upheld", three), first, State.ESCALATED),
    ]
    ledger(tmp_path, three, asked)
    for done, details, expected in said:
        ledger(tmp_path, done.model_copy(update={"details": details}))
        assert states(tmp_path) == [expected, State.OPEN]
    with Index.open(tmp_path) as index:
        assert index.standing.images(0) == {1: State.UPHELD, 2: State.ESCALATED}
    ledger(tmp_path, event(10, "upheld", asked))

    assert states(tmp_path) == [State.ESCALATED, State.UPHELD]


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    """Only what is new is read, and old records learn of new verdicts."""
    blocked = record(0, Outcome.BLOCKED)
    ledger(tmp_path, blocked, segment_bytes=1)
    with Index.open(tmp_path) as index:
        assert index.update() == 1
        assert index.update() == 0
    ledger(tmp_path, event(0, "overturned", blocked), record(1), segment_bytes=1)
    with Index.open(tmp_path) as index:
        assert index.update() == 2
        assert index.record(0)[0].state == State.OVERTURNED


def test_another_ledger_in_its_place_is_noticed(tmp_path: Path) -> None:
    """A ledger that was replaced or set back is indexed anew."""
    first = ledger(tmp_path / "a", record(0), record(1))
    other = ledger(tmp_path / "b", record(5, Outcome.BLOCKED))
    with Index.open(first) as index:
        index.update()
    index_file = tmp_path / "index"
    (first / NAME).rename(index_file)

    with Index.open(other, index_file) as index:
        assert index.update() == 1
        assert index.find(record(5).id) == 0
        with pytest.raises(LedgerError, match="no record in"):
            index.find(record(0).id)


def test_an_index_of_an_earlier_version_is_built_anew(tmp_path: Path) -> None:
    """Another layout of the tables is never read."""
    ledger(tmp_path, record(0))
    with Index.open(tmp_path) as index:
        index.update()
        index.database.execute("PRAGMA user_version = 0")
        index.database.execute("DROP TABLE scores")
    with Index.open(tmp_path) as index:
        assert index.update() == 1


def test_a_damaged_line_ends_the_index_before_it(tmp_path: Path) -> None:
    """What stands before a changed record is indexed; the error points to verification."""
    ledger(tmp_path, record(0), record(1), record(2))
    segment = tmp_path / "00000000.jsonl"
    segment.write_bytes(segment.read_bytes().replace(record(1).id.encode(), b"x" * 13))
    with Index.open(tmp_path) as index:
        with pytest.raises(LedgerError, match="audit verify"):
            index.update()
        assert index.find(record(0).id) == 0


def test_a_verdict_that_nobody_signed_does_not_count(tmp_path: Path) -> None:
    """Neither one that was made up nor a copy of one that was taken back; the rest is indexed."""
    blocked = record(0, Outcome.BLOCKED)
    said = [event(0, "overturned", blocked), event(1, "upheld", blocked)]
    whole = ledger(tmp_path / "whole", blocked, *said)
    segment = whole / "00000000.jsonl"
    for name in ("forged", "repeated"):
        shutil.copytree(whole, tmp_path / name)
    forge(tmp_path / "forged", event(2, "overturned", blocked))
    with (tmp_path / "repeated" / segment.name).open("ab") as file:
        file.write(segment.read_bytes().splitlines(keepends=True)[1])

    for name, told in (("forged", "not signed with"), ("repeated", "does not follow line 2")):
        with Index.open(tmp_path / name) as index:
            with pytest.raises(LedgerTamperedError, match=told):
                index.update()
            assert index.record(0)[0].state == State.UPHELD


def test_what_is_new_follows_what_is_known(tmp_path: Path) -> None:
    """Lines of this ledger's key that were put behind another end are not read."""
    first = ledger(tmp_path / "a", record(0))
    shutil.copytree(first, tmp_path / "b")
    ledger(first, record(1))
    ledger(tmp_path / "b", record(2), record(3))
    segment = first / "00000000.jsonl"
    with Index.open(first) as index:
        index.update()
        with segment.open("ab") as file:
            file.write((tmp_path / "b" / segment.name).read_bytes().splitlines(keepends=True)[2])
        with pytest.raises(LedgerTamperedError, match="line 2 does not follow line 1"):
            index.update()


def test_a_line_changed_since_is_not_shown(tmp_path: Path) -> None:
    """The index is no proof: what it points to is looked at in the ledger each time."""
    ledger(tmp_path, record(0), record(1))
    segment = tmp_path / "00000000.jsonl"
    with Index.open(tmp_path) as index:
        index.update()
        segment.write_bytes(segment.read_bytes().replace(b"acme", b"evil"))
        with pytest.raises(LedgerError, match="does not match its hash"):
            index.record(0)


def test_a_crafted_time_does_no_harm(tmp_path: Path) -> None:
    """A record whose time is none is indexed, before all others."""
    ledger(tmp_path, record(0), record(1).model_copy(update={"time": "'; DROP TABLE records"}))
    with Index.open(tmp_path) as index:
        assert index.update() == 2
        assert index.record(1)[0].time == 0


def test_names_and_near_misses(tmp_path: Path) -> None:
    """Names that occur are listed; one that does not is an error that offers the nearest."""
    ledger(tmp_path, record(0, Outcome.BLOCKED, images=[image(unsafe=0.9)]))
    with Index.open(tmp_path) as index:
        index.update()
        assert index.names.of("rule") == ["block.gore", "check:nsfw/unsafe"]
        assert index.names.of("score") == ["nsfw/unsafe", "nudity", "violence"]
        assert len(index.names.numbers("policy", "default")) == 1
        assert len(index.names.numbers("policy", "sha256:defau")) == 1
        with pytest.raises(InputError, match=r"did you mean block\.gore"):
            index.names.numbers("rule", "block.gor")


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    """The file holds tenants and scores: its mode is 0600."""
    ledger(tmp_path, record(0))
    Index.open(tmp_path).close()

    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_progress_ends_at_the_end(tmp_path: Path) -> None:
    """Progress is told in bytes of the ledger."""
    ledger(tmp_path, record(0), record(1), segment_bytes=1)
    told: list[tuple[int, int]] = []
    with Index.open(tmp_path) as index:
        index.update(lambda done, total: told.append((done, total)))
    size = sum(path.stat().st_size for path in tmp_path.glob("*.jsonl"))

    assert told == [(size, size)]


def test_what_is_no_index_is_left_alone(tmp_path: Path) -> None:
    """A file that is no database is an error, and stays."""
    ledger(tmp_path / "ledger", record(0))
    other = tmp_path / "notes.json"
    other.write_text(json.dumps({"mine": "x" * 4096}))
    with pytest.raises(OutputError, match=r"notes\.json"):
        Index.open(tmp_path / "ledger", other)

    assert "mine" in other.read_text()


def test_no_ledger(tmp_path: Path) -> None:
    """A folder without a ledger gets no index."""
    with pytest.raises(LedgerError, match="is not a ledger"):
        Index.open(tmp_path)

    assert not (tmp_path / NAME).exists()


def test_lines_that_nobody_signed_are_not_shown(tmp_path: Path) -> None:
    """Though the index was changed to name them, and `verify` never looks where they are."""
    blocked = record(1, Outcome.BLOCKED)
    ledger(tmp_path, record(0), blocked, event(0, "escalated", blocked))
    record_at, event_at = planted(
        tmp_path,
        (1, record(1).model_copy(update={"time": blocked.time})),
        (9, event(1, "upheld", blocked, actor="ada")),
    )
    made_up = "INSERT INTO events VALUES (9, 0, 'upheld', 'ada', ?, -1, ?)"
    index_changed(tmp_path, made_up, blocked.id, event_at)
    changed = "UPDATE records SET segment = -1, byte = ?, outcome = 0 WHERE seq = 1"
    index_changed(tmp_path, changed, record_at)

    with Index.open(tmp_path) as index:
        assert index.update() == 0
        assert index.record(0)[1] == record(0)
        with pytest.raises(LedgerError, match="no segment -1") as caught:
            index.record(1)
        assert "delete index.sqlite" in str(caught.value.mend)
        for asked in (lambda: index.events_about(blocked.id), index.events):
            with pytest.raises(LedgerError, match="no segment -1"):
                asked()
    assert verify(tmp_path).records == 3


@pytest.mark.parametrize(
    "changed",
    [
        "UPDATE records SET outcome = 0",
        "UPDATE records SET time = time + 1",
        "UPDATE records SET id = 'other'",
        "UPDATE records SET (segment, byte) = (SELECT segment, byte FROM events WHERE seq = 1)",
        "UPDATE events SET about = 'other' WHERE seq = 1",
        "UPDATE events SET actor = 'ada' WHERE seq = 1",
        "UPDATE events SET what = 'overturned' WHERE seq = 1",
        "UPDATE events SET (segment, byte) = (SELECT segment, byte FROM records)",
    ],
)
def test_an_index_that_says_something_else_than_the_ledger_is_refused(
    tmp_path: Path, changed: str
) -> None:
    """Of a line that it is asked for; deleted, as the error says, it is right again."""
    blocked = record(0, Outcome.BLOCKED)
    ledger(tmp_path, blocked, event(0, "upheld", blocked), event(1, "signed_in"))
    index_changed(tmp_path, changed)
    with Index.open(tmp_path) as index, pytest.raises(LedgerError, match="the index of") as caught:
        _ = index.record(0), index.events()
    assert "delete index.sqlite" in str(caught.value.mend)

    for path in tmp_path.glob(f"{NAME}*"):
        path.unlink()
    assert states(tmp_path) == [State.UPHELD]
