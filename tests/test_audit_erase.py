"""Erasing a person: told first, then done, whatever stops it in between; the chain still holds."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledgers import ALICE, SEALED, SECRET, asked, event, holding, index_changed, planted, record
from writers import outcome, script, small_disk

from safegen.audit.erase import Erased, erase
from safegen.audit.explain import explained
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger, entries, verify
from safegen.audit.ledger.format import canonical, chain
from safegen.audit.ledger.keys import public_pem
from safegen.audit.ledger.masking import key_of, revealed
from safegen.audit.ledger.subjects import SubjectKeys
from safegen.errors import LedgerError, OutputError
from safegen.nouns import Event, Record
from safegen.policy.schema import Recording


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty one."""
    with Ledger.open(tmp_path / "ledger") as opened:
        yield opened


def erased(ledger: Ledger, subject: str) -> Erased:
    """What comes of erasing."""
    with Index.open(ledger.folder) as index:
        return erase(ledger, index, subject, actor="os:ann", reason="asked for it")


def told_of(folder: Path, kept: Record) -> str:
    """What a reader of the record is told under the first heading."""
    with Index.open(folder) as index:
        index.update()
        events = [event for _, event in index.events_about(kept.id)]
        return "\n".join(explained(index.record(index.find(kept.id))[1], events)[0].lines)


def test_an_erased_person_cannot_be_read(ledger: Ledger) -> None:
    """All of their records are lost, those of others are not, and the chain verifies."""
    mine = [asked(ledger, record(number)) for number in range(3)]
    other = asked(ledger, record(3), user="bob-1234")
    key = ledger.subjects.find(key_of(mine[0]))
    assert key is not None
    done = erased(ledger, mine[0].subject)

    assert (done.now, done.records) == (True, 3)
    for each in mine:
        with pytest.raises(LedgerError, match="is not in the ledger's keys"):
            revealed(each, ledger, actor="os:ann")
    assert revealed(other, ledger, actor="os:ann")["prompt"] == SECRET
    assert verify(ledger.folder).records == 6
    assert holding(ledger.folder, ALICE, SECRET, key) == []
    assert holding(ledger.folder, key_of(mine[0])) == ["00000000.jsonl"]


def test_what_a_reader_is_told(ledger: Ledger) -> None:
    """The record says what was encrypted, and on which day it was erased."""
    mine, other = asked(ledger, record(0)), asked(ledger, record(1), user="bob-1234")
    assert "the prompt is kept encrypted" in told_of(ledger.folder, mine)
    day = erased(ledger, mine.subject).time[:10]

    assert f"the prompt is erased on {day}" in told_of(ledger.folder, mine)
    assert f"the user is erased on {day}" in told_of(ledger.folder, mine)
    assert "kept encrypted" in told_of(ledger.folder, other)


def test_the_ledger_tells_it_first(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that takes no event keeps the key; one that tells it deletes the key when opened."""
    mine = asked(ledger, record(0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "out of order")))
        with pytest.raises(LedgerError, match="out of order"):
            erased(ledger, mine.subject)
    assert ledger.subjects.of(mine.subject) == key_of(mine)

    with monkeypatch.context() as patch:
        patch.setattr(SubjectKeys, "_scrub", lambda _: (_ for _ in ()).throw(OutputError("x")))
        with Ledger.open(ledger.folder) as again, pytest.raises(OutputError):
            erased(again, mine.subject)
    assert holding(ledger.folder, key_of(mine)) != ["00000000.jsonl"]
    with Ledger.open(ledger.folder) as again:
        assert holding(ledger.folder, key_of(mine)) == ["00000000.jsonl"]
        done = erased(again, mine.subject)

        assert not done.now
        assert done.time
        assert holding(ledger.folder, key_of(mine)) == ["00000000.jsonl"]
    events = [entry for _, entry in entries(ledger.folder) if isinstance(entry, Event)]
    assert [event.what for event in events if event.what == "erased"] == ["erased"]


def test_a_deletion_that_failed_is_done_by_the_next_call(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of the key that could not be taken away are, and it is told once."""
    mine = asked(ledger, record(0))
    with monkeypatch.context() as patch:
        patch.setattr(ledger.subjects, "_scrub", lambda: (_ for _ in ()).throw(OutputError("x")))
        with pytest.raises(OutputError):
            erased(ledger, mine.subject)
    assert holding(ledger.folder, key_of(mine)) != ["00000000.jsonl"]

    assert not erased(ledger, mine.subject).now
    assert holding(ledger.folder, key_of(mine)) == ["00000000.jsonl"]


def test_what_stays_readable_is_counted(ledger: Ledger) -> None:
    """Of records kept in different ways, those under the key are lost, plain ones are told."""
    plain = Recording(prompt="plain", user="hmac")
    for number, recording in enumerate((SEALED, plain, Recording())):
        mine = asked(ledger, record(number), recording)
    done = erased(ledger, mine.subject)

    assert (done.records, done.encrypted, done.readable) == (3, 1, 1)


def test_twice_is_once(ledger: Ledger) -> None:
    """Erasing again says when it was done, and writes nothing; nobody's key is nothing to erase."""
    mine = asked(ledger, record(0))
    first, second = erased(ledger, mine.subject), erased(ledger, mine.subject)
    nobody = erased(ledger, "hmac-sha256:00")

    assert (first.now, second.now, nobody.now) == (True, False, False)
    assert first.time == second.time
    assert (nobody.time, nobody.records) == ("", 0)
    assert verify(ledger.folder).records == 2


def test_a_person_may_come_back(ledger: Ledger) -> None:
    """Who asks again gets a new key; what was erased before stays so, and can be told apart."""
    before = asked(ledger, record(0))
    erased(ledger, before.subject)
    after = asked(ledger, record(1))

    assert after.subject == before.subject
    assert revealed(after, ledger, actor="os:ann")["prompt"] == SECRET
    assert "erased on" in told_of(ledger.folder, before)
    assert "kept encrypted" in told_of(ledger.folder, after)
    assert erased(ledger, after.subject).now
    assert "erased on" in told_of(ledger.folder, after)


def test_one_record_alone(ledger: Ledger) -> None:
    """A record of nobody is erased by its id."""
    mine, other = (asked(ledger, record(number), user="") for number in range(2))
    assert erased(ledger, f"record:{mine.id}").records == 1

    assert "erased on" in told_of(ledger.folder, mine)
    assert revealed(other, ledger, actor="os:ann") == {"prompt": SECRET}


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """The file of keys of a ledger in `tmp_path / "apart"`, in which it does not stand."""
    with Ledger.open(tmp_path / "apart", subjects=tmp_path / "keys.sqlite") as ledger:
        for number in range(2):
            asked(ledger, record(number))
    return tmp_path / "keys.sqlite"


@pytest.mark.parametrize("elsewhere", ["absent.sqlite", "other.sqlite"])
def test_without_the_file_of_keys_nobody_is_erased(
    tmp_path: Path, apart: Path, elsewhere: str
) -> None:
    """The error names key and file, and nothing is told or made; with the right file all goes."""
    kept = next(entry for _, entry in entries(tmp_path / "apart") if isinstance(entry, Record))
    with Ledger.open(tmp_path / "other", subjects=tmp_path / "other.sqlite") as other:
        asked(other, record(0))
    with Ledger.open(tmp_path / "apart", subjects=tmp_path / elsewhere) as ledger:
        with pytest.raises(LedgerError, match=f"{key_of(kept)} is not in .*{elsewhere}") as caught:
            erased(ledger, kept.subject)
        assert "--subjects" in str(caught.value)
        with pytest.raises(LedgerError, match=f"is not in the ledger's keys.*{elsewhere}"):
            revealed(kept, ledger, actor="os:ann")

    assert not (tmp_path / "absent.sqlite").exists()
    assert verify(tmp_path / "apart").records == 2
    with Ledger.open(tmp_path / "apart", subjects=apart) as ledger:
        assert erased(ledger, kept.subject).now
        assert not erased(ledger, kept.subject).now


def test_a_key_beside_the_missing_one_stays(tmp_path: Path, apart: Path) -> None:
    """Whose records are encrypted under keys in two files is not half erased."""
    with Ledger.open(tmp_path / "apart") as ledger:
        kept = asked(ledger, record(2))
        with pytest.raises(LedgerError, match=r"is not in .*subjects\.sqlite"):
            erased(ledger, kept.subject)
        assert ledger.subjects.of(kept.subject) == key_of(kept)
    with Ledger.open(tmp_path / "apart", subjects=apart) as ledger:
        with pytest.raises(LedgerError, match=f"{key_of(kept)} is not in"):
            erased(ledger, kept.subject)


def test_keys_that_are_lost_are_told_so(tmp_path: Path, apart: Path) -> None:
    """Said to be lost, they count as erased; should their file turn up, they are deleted in it."""
    kept = next(entry for _, entry in entries(tmp_path / "apart") if isinstance(entry, Record))
    away = apart.rename(tmp_path / "away.sqlite")
    with Ledger.open(tmp_path / "apart", subjects=apart) as ledger:
        with Index.open(ledger.folder) as index:
            done = erase(ledger, index, kept.subject, actor="os:ann", lost=True)
        assert done.now
        assert "the prompt is erased on" in told_of(ledger.folder, kept)
        assert erased(ledger, kept.subject).time == done.time
    assert not apart.exists()
    (told,) = (entry for _, entry in entries(tmp_path / "apart") if isinstance(entry, Event))
    assert told.details == {"key": key_of(kept), "lost": True}

    with Ledger.open(tmp_path / "apart", subjects=away) as ledger:
        assert not erased(ledger, kept.subject).now
        assert ledger.subjects.find(key_of(kept)) is None


def test_where_nothing_is_encrypted_no_file_is_made(ledger: Ledger) -> None:
    """There is nothing to erase, and that is no error."""
    kept = asked(ledger, record(0), Recording(prompt="plain"))
    done = erased(ledger, kept.subject)

    assert (done.now, done.time, done.records) == (False, "", 1)
    assert not ledger.subjects_at.exists()


def test_while_others_write(ledger: Ledger) -> None:
    """A person erased in the midst of their requests: each record reads, or was erased."""
    kept: list[Record] = []
    stop = threading.Event()

    def work(name: int) -> None:
        number = 1000 * name
        while not stop.is_set():
            kept.append(asked(ledger, record(number, hours=0)))
            number += 1

    first = asked(ledger, record(0))
    threads = [threading.Thread(target=work, args=(name,)) for name in range(1, 4)]
    for thread in threads:
        thread.start()
    try:
        assert [erased(ledger, first.subject).now for _ in range(5)].count(True) > 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    events = [entry for _, entry in entries(ledger.folder) if isinstance(entry, Event)]
    gone = {event.details["key"] for event in events if event.what == "erased"}
    assert {key_of(each) for each in kept if not ledger.subjects.find(key_of(each))} <= gone
    assert verify(ledger.folder).records == len(kept) + len(events) + 1


def test_a_full_disk(tmp_path: Path) -> None:
    """Where the key store cannot grow, requests are refused by name; with room they go on."""
    folder = tmp_path / "ledger"

    def ask_many() -> None:
        for number in range(1, 5000):
            asked(ledger, record(number), user=f"user-{number}")

    with (
        small_disk(tmp_path, 512) as disk,
        Ledger.open(folder, subjects=disk / "keys.sqlite") as ledger,
    ):
        first = asked(ledger, record(0))
        (disk / "ballast").write_bytes(b"x" * 300 * 1024)
        with pytest.raises(OutputError, match="cannot write the keys of subjects"):
            ask_many()
        assert revealed(first, ledger, actor="os:ann")["prompt"] == SECRET
        (disk / "ballast").unlink()
        last = asked(ledger, record(9999), user="user-9999")
        assert revealed(last, ledger, actor="os:ann")["prompt"] == SECRET

    assert verify(folder).records > 5


def test_what_nobody_signed_erases_nobody(ledger: Ledger) -> None:
    """An index that tells of an erasing that never was ends the command; both keys stay."""
    mine, other = asked(ledger, record(0)), asked(ledger, record(1), user="bob-1234")
    told = event(0, "erased").model_copy(update={"details": {"key": key_of(mine)}})
    (start,) = planted(ledger.folder, (9, told))
    ledger.append(event(1, "signed_in"))
    index_changed(ledger.folder, "INSERT INTO events VALUES (9, 0, 'erased', '', '', -1, ?)", start)
    with pytest.raises(LedgerError, match="no segment -1"):
        erased(ledger, other.subject)

    for each in (mine, other):
        assert revealed(each, ledger, actor="os:ann")["prompt"] == SECRET


def test_the_ledgers_own_key_says_what_is_erased(ledger: Ledger, tmp_path: Path) -> None:
    """Who has exchanged `public.pem` since the ledger was opened has nothing deleted by theirs."""
    mine = asked(ledger, record(0))
    key = Ed25519PrivateKey.generate()
    told = event(0, "erased").model_copy(update={"details": {"key": key_of(mine)}})
    hashes, data = chain(1, "0" * 64, [canonical(told.model_dump(mode="json"))], key)
    with Index.open(ledger.folder, tmp_path / "index") as index:
        index.update()
        (ledger.folder / "00000099.jsonl").write_bytes(data)
        (ledger.folder / "public.pem").write_bytes(public_pem(key))
        row = (99, 0, 1, hashes[-1], 99, len(data))
        index.database.execute(
            "UPDATE place SET segment = ?, byte = ?, last = ?, hash = ?, "
            "next_segment = ?, next_byte = ?",
            row,
        )
        known = (1, 1, "erased", "", "", 99, 0)
        index.database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", known)
        with pytest.raises(LedgerError, match="no signature of this ledger's key"):
            erase(ledger, index, "nobody", actor="x")

    assert ledger.subjects.of(mine.subject) == key_of(mine)


def test_records_of_others_are_not_taken_for_the_subjects(ledger: Ledger) -> None:
    """Whose an index says that a record is counts for nothing: its key is not told to be lost."""
    mine, other = asked(ledger, record(0)), asked(ledger, record(1), user="bob-1234")
    index_changed(ledger.folder, "UPDATE records SET subject = ?", other.subject)
    ledger.subjects.delete([key_of(mine)])
    with Index.open(ledger.folder) as index:
        erase(ledger, index, other.subject, actor="os:ann", lost=True)

    events = [entry for _, entry in entries(ledger.folder) if isinstance(entry, Event)]
    assert [each.details for each in events] == [{"key": key_of(other)}]


KILLED = """
from safegen.audit.erase import erase
from safegen.audit.index import Index
from safegen.audit.ledger.masking import key_of, masked
from safegen.policy.schema import Recording
from itertools import count

def work(told):
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        for number in count():
            plain = record(f"{os.getpid()}-{number}")
            context = Context(user=f"user-{number % 3}")
            kept = masked(plain.model_copy(update={"context": context, "time": "2026-01-01"}),
                          "a prompt", Recording(prompt="encrypted"), ledger)
            ledger.append(kept)
            os.write(told, b"!")
            if number % 2:
                erase(ledger, index, kept.subject, actor="x")

for _ in range(15):
    killed_at_work(work, 0.3)
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        erase(ledger, index, "nobody", actor="x")
        found = [entry for _, entry in entries(folder)]
        gone = {entry.details["key"] for entry in found if getattr(entry, "what", "") == "erased"}
        for entry in found:
            if isinstance(entry, Record):
                assert (ledger.subjects.find(key_of(entry)) is None) == (key_of(entry) in gone)
        for name in ("subjects.sqlite", "subjects.sqlite-wal"):
            data = open(os.path.join(folder, name), "rb").read()
            assert not [key for key in gone if key.encode() in data], name
    verify(folder)
    print(len(gone))
"""


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Killed again and again between event and deletion: the next run completes what was told."""
    code, out, err = outcome(script(KILLED, tmp_path))

    erased_so_far = [int(line) for line in out.splitlines() if line.isdecimal()]
    assert code == 0, err
    assert len(erased_so_far) == 15, out  # beside them stands each write that was cut off
    assert erased_so_far[-1] > 3
