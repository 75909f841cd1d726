"""Erasings that a crash, or a file from a backup, left undone: done when the ledger is opened."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledgers import SECRET, asked, event, forge, record
from purging import aged, day, days, purged
from structlog.testing import capture_logs
from writers import outcome, script

from safegen.audit.erase import erase
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger, entries
from safegen.audit.ledger import erasures as module
from safegen.audit.ledger.masking import key_of, revealed
from safegen.audit.ledger.subjects import NAME, SubjectKeys
from safegen.audit.purge import purge
from safegen.errors import LedgerError, OutputError
from safegen.nouns import Event


def erased(ledger: Ledger, subject: str) -> None:
    """Erase somebody."""
    with Index.open(ledger.folder) as index:
        erase(ledger, index, subject, actor="os:ann")


def backup(folder: Path) -> Path:
    """A copy of the keys; the ledger is closed."""
    return Path(shutil.copy(folder / NAME, folder.parent / "backup"))


def restored(folder: Path, copy: Path) -> None:
    """Lay the copy of the keys in their place."""
    for ending in ("", "-wal", "-shm"):
        (folder / f"{NAME}{ending}").unlink(missing_ok=True)
    shutil.copy(copy, folder / NAME)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a ledger is to be."""
    return tmp_path / "ledger"


CUT_OFF = """
from safegen.audit.erase import erase
from safegen.audit.index import Index
from safegen.audit.ledger.subjects import SubjectKeys

SubjectKeys.delete = lambda self, ids: os.kill(os.getpid(), 9)
with Ledger.open(folder) as ledger, Index.open(folder) as index:
    erase(ledger, index, SUBJECT, actor="x")
"""


def test_a_new_request_is_not_lost_with_an_erasing_that_was_cut_off(folder: Path) -> None:
    """A guard that is open meanwhile makes a new key, and the next start deletes the old one."""
    with Ledger.open(folder) as guard:
        old = asked(guard, record(0))
        code, _, err = outcome(script(CUT_OFF.replace("SUBJECT", repr(old.subject)), folder))
        assert code == -9, err
        assert guard.subjects.find(key_of(old))
        new = asked(guard, record(1))

        assert new.subject == old.subject
        assert key_of(new) != key_of(old)
    with Ledger.open(folder) as again:
        assert again.subjects.find(key_of(old)) is None
        assert revealed(new, again, actor="os:ann")["prompt"] == SECRET


def test_keys_from_a_backup_go_when_the_ledger_is_opened(folder: Path) -> None:
    """Who asks again after that gets a new key; nobody else's goes."""
    with Ledger.open(folder) as ledger:
        mine, other = asked(ledger, record(0)), asked(ledger, record(1), user="bob-1234")
    copy = backup(folder)
    with Ledger.open(folder) as ledger:
        erased(ledger, mine.subject)
        ledger.begin_segment()
        asked(ledger, record(2), user="bob-1234")
    restored(folder, copy)
    with Ledger.open(folder) as ledger:
        assert ledger.subjects.find(key_of(mine)) is None
        again = asked(ledger, record(3))

        assert revealed(again, ledger, actor="os:ann")["prompt"] == SECRET
        assert revealed(other, ledger, actor="os:ann")["prompt"] == SECRET


def test_keys_from_before_what_was_purged_encrypt_nothing_more(folder: Path) -> None:
    """What erased them may have gone: they open what there is, and who asks gets a new one."""
    with Ledger.open(folder) as ledger:
        mine = asked(ledger, record(0))
        asked(ledger, record(1), user="bob-1234")
    copy = backup(folder)
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        erased(ledger, mine.subject)
        ledger.begin_segment()
        kept = asked(ledger, record(0, hours=24 * 9), user="bob-1234")
        aged(folder, 1, datetime.now(UTC) + timedelta(hours=1))
        soon = datetime.now(UTC) + timedelta(minutes=1)
        assert purge(ledger, index, soon, actor="os:ann").segments == 1
    restored(folder, copy)
    with Ledger.open(folder) as ledger:
        again = asked(ledger, record(3))

        assert key_of(again) != key_of(mine)
        assert revealed(kept, ledger, actor="os:ann")["context.user"] == "bob-1234"
        assert key_of(asked(ledger, record(4), user="bob-1234")) != key_of(kept)
    with Ledger.open(folder) as ledger:
        assert key_of(asked(ledger, record(5))) == key_of(again)


def test_a_ledger_from_a_backup_is_read_from_its_end(folder: Path, tmp_path: Path) -> None:
    """Keys that have heard more of it than there is hear what comes anew."""
    with Ledger.open(folder) as ledger:
        asked(ledger, record(0))
    shutil.copytree(folder, tmp_path / "older")
    with Ledger.open(folder) as ledger:
        ledger.begin_segment()
        mine = asked(ledger, record(1))
    Ledger.open(folder).close()
    restored(tmp_path / "older", backup(folder))
    with Ledger.open(tmp_path / "older") as ledger:
        ledger.begin_segment()
        ledger.append(event(0, "erased").model_copy(update={"details": {"key": key_of(mine)}}))
        ledger.begin_segment()
    with Ledger.open(tmp_path / "older") as ledger:
        assert ledger.subjects.find(key_of(mine)) is None


def test_what_nobody_signed_deletes_no_key(folder: Path) -> None:
    """A line in a segment before the last that says so ends the opening, with its place."""
    with Ledger.open(folder) as ledger:
        mine = asked(ledger, record(0))
    told = event(0, "erased").model_copy(update={"details": {"key": key_of(mine)}})
    forge(folder, told)
    data = (folder / "00000000.jsonl").read_bytes()
    (folder / "00000000.jsonl").write_bytes(b"".join(data.splitlines(keepends=True)[:1]))
    with Ledger.open(folder) as ledger:
        ledger.begin_segment()
        ledger.append(record(1))
    (folder / "00000000.jsonl").write_bytes(data)
    with pytest.raises(LedgerError, match="no signature of this ledger's key"):
        Ledger.open(folder)


def test_words_of_others_are_no_event(folder: Path) -> None:
    """Neither a prompt that reads like one, nor a detail of another event."""
    with Ledger.open(folder) as ledger:
        mine = asked(ledger, record(0), user='"what":"erased"')
        key = key_of(mine)
        like = event(0, "signed_in").model_copy(update={"details": {"what": "erased", "key": key}})
        ledger.append(like)
    with Ledger.open(folder) as ledger:
        assert ledger.subjects.find(key)


def test_only_what_is_new_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start reads from the segment on that was the last one at the start before."""
    starts = list[int]()
    erased_in = module._erased

    def seen(place: Path, start: int, *rest: object) -> set[str]:
        starts.append(start)
        return erased_in(place, start, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_erased", seen)
    for number in range(3):
        with Ledger.open(folder) as ledger:
            asked(ledger, record(number))
            ledger.begin_segment()
    Ledger.open(folder).close()

    assert starts == [0, 1, 2]


def test_nothing_is_encrypted_before_it_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that cannot be deleted keeps no ledger closed, but every use of the keys."""
    with Ledger.open(folder) as ledger:
        mine = asked(ledger, record(0))
        told = event(0, "erased").model_copy(update={"details": {"key": key_of(mine)}})
        ledger.append(told)
    with monkeypatch.context() as patch:
        patch.setattr(SubjectKeys, "_scrub", lambda _: (_ for _ in ()).throw(OutputError("x")))
        again = Ledger.open(folder)
        for number in (1, 2):
            with pytest.raises(OutputError):
                asked(again, record(number))
        again.append(record(3))
    kept = asked(again, record(4))

    assert key_of(kept) != key_of(mine)
    assert again.subjects.find(key_of(mine)) is None
    again.close()


def test_no_file_of_keys_is_made(folder: Path) -> None:
    """Where nothing is encrypted there is nothing to finish."""
    with Ledger.open(folder) as ledger:
        ledger.append(record(0))
    Ledger.open(folder).close()

    assert not (folder / NAME).exists()
    assert not [entry for _, entry in entries(folder) if isinstance(entry, Event)]


@pytest.mark.parametrize("erased_before", [True, False])
def test_keys_put_back_while_a_ledger_is_open_are_heard_first(
    folder: Path, erased_before: bool
) -> None:
    """It found no file; what was erased before that, or meanwhile, encrypts nothing."""
    with Ledger.open(folder) as ledger:
        mine = asked(ledger, record(0))
    copy = backup(folder)
    if erased_before:
        with Ledger.open(folder) as ledger:
            erased(ledger, mine.subject)
    (folder / NAME).unlink()
    with Ledger.open(folder) as guard:
        if not erased_before:
            with Ledger.open(folder) as ledger, Index.open(folder) as index:
                erase(ledger, index, mine.subject, actor="os:ann", lost=True)
        restored(folder, copy)
        again = asked(guard, record(1))

        assert key_of(again) != key_of(mine)
        assert guard.subjects.find(key_of(mine)) is None
    with Ledger.open(folder) as ledger:
        assert revealed(again, ledger, actor="os:ann")["prompt"] == SECRET


def test_a_purge_of_all_retires_no_key(folder: Path) -> None:
    """The keys have heard all that goes: the next opening warns of nothing."""
    with Ledger.open(folder) as ledger:
        asked(ledger, record(0))
    aged(folder)
    with Ledger.open(folder) as ledger, Index.open(folder) as index:
        kept = ledger.subjects.use("bob", "2100-01-01")
        soon = datetime(2026, 2, 1, tzinfo=UTC)
        assert purge(ledger, index, soon, actor="os:ann").segments == 1
    with capture_logs() as logs, Ledger.open(folder) as ledger:
        assert ledger.subjects.use("bob", "2100-01-01") == kept

    assert logs == []


def test_another_ledgers_keys_are_refused_as_they_are(folder: Path, tmp_path: Path) -> None:
    """A slip of a path retires nobody's key, and its mark stays where it is."""
    other = tmp_path / "other"
    with Ledger.open(other) as ledger:
        theirs = asked(ledger, record(0), user="bob-1234")
    assert purged(days(folder, 2), day(1)).segments == 1
    with Ledger.open(folder, subjects=other / NAME) as ledger, Index.open(folder) as index:
        with pytest.raises(LedgerError, match="belong to another ledger"):
            asked(ledger, record(1))
        done = purge(ledger, index, day(2), actor="os:ann")
        assert (done.segments, done.keys) == (1, 0)
    with Ledger.open(other) as ledger:
        assert ledger.subjects.heard == 0
        assert key_of(asked(ledger, record(1), user="bob-1234")) == key_of(theirs)
