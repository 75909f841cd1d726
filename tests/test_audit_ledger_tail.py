"""The end of a ledger: sound after whatever stops its writers."""

import errno
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledgers import forge
from writers import fill, outcome, record, script, small_disk

from safegen.audit.ledger import Ledger, entries, verify
from safegen.audit.ledger.format import chain
from safegen.errors import LedgerError, LedgerTamperedError, Tampering
from safegen.nouns import Event, Record

KEY = Ed25519PrivateKey.generate()  # not that of any ledger here

# --- crashes and full disks -------------------------------------------------------------------


def test_killed_in_the_middle_of_a_write(tmp_path: Path) -> None:
    """A process killed with half a line on disk: set aside, entered in the chain, nothing lost."""
    body = """
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
ledger = Ledger.open(folder)
for number in range(3):
    ledger.append(record(number))
limit_file(folder, 100)
ledger.append(record(3))
"""
    code, _, err = outcome(script(body, tmp_path))
    torn = (tmp_path / "00000000.jsonl").read_bytes().split(b"\n")[-1]
    assert code == -signal.SIGXFSZ, err
    assert len(torn) == 100
    assert verify(tmp_path).unfinished

    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(4))

    (aside,) = tmp_path.glob("*.torn-*")
    found = [entry for _, entry in entries(tmp_path)]
    assert aside.read_bytes() == torn
    assert [entry.id for entry in found if isinstance(entry, Record)] == ["r0", "r1", "r2", "r4"]
    assert isinstance(found[3], Event)
    assert (found[3].what, found[3].details["file"]) == ("repaired", aside.name)
    assert not verify(tmp_path).unfinished


def test_a_failed_write_leaves_no_trace(tmp_path: Path) -> None:
    """After a write that failed half-way the record is refused, and the next one goes on."""
    body = """
ledger = Ledger.open(folder)
ledger.append(record(0))
limit_file(folder, 100)
try:
    ledger.append(record(1))
except LedgerError as error:
    print(error.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
ledger.append(record(2))
"""
    code, out, err = outcome(script(body, tmp_path))

    assert code == 0, err
    assert "cannot write the record r1" in out
    assert [found.id for _, found in entries(tmp_path)] == ["r0", "r2"]
    assert verify(tmp_path).records == 2


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    with small_disk(tmp_path, 64) as disk:
        yield disk


def test_a_full_disk(full_disk: Path) -> None:
    """A full disk refuses records by name; with room again the ledger goes on as it is."""
    ballast = full_disk / "ballast"
    kept: list[int] = []

    def append_many() -> None:
        kept.extend(ledger.append(record(number)).seq for number in range(200))

    with Ledger.open(full_disk / "ledger") as ledger:
        ballast.write_bytes(b"x" * 16384)
        with pytest.raises(LedgerError, match=r"(?s)cannot write .* No space left .*mend"):
            append_many()
        ballast.unlink()
        kept.append(ledger.append(record(999)).seq)

    assert kept == list(range(len(kept)))
    assert verify(full_disk / "ledger").records == len(kept) > 10


def test_lost_permission(tmp_path: Path) -> None:
    """A folder that may no longer be written to refuses the record that needs a new segment."""
    body = """
canonical({"a": 1})  # loads what it needs, as another user may not read it
if os.getuid() == 0:
    os.chown(folder, 65534, 65534)
    os.setegid(65534)
    os.seteuid(65534)
ledger = Ledger.open(folder, segment_bytes=1)
ledger.append(record(0))
os.chmod(folder, 0o500)
try:
    ledger.append(record(1))
except LedgerError as error:
    print(error)
os.chmod(folder, 0o700)
print(ledger.append(record(2)).seq)
"""
    with TemporaryDirectory() as folder:  # pytest's own cannot be entered by another user
        code, out, err = outcome(script(body, Path(folder)))
        found = verify(folder)

    assert code == 0, err
    assert "cannot write the record r1" in out
    assert "Permission denied" in out
    assert out.endswith("\n1\n")
    assert found.records == 2


def test_a_clock_that_goes_back_is_told(tmp_path: Path) -> None:
    """If the last commit is in the future, an event says by how much; the order stays."""
    fill(tmp_path, 1)
    later = time.time() + 3600
    with Ledger.open(tmp_path) as ledger:
        os.utime(tmp_path / "checkpoint.json", (later, later))
        ledger.append(record(1))
        ledger.append(record(2))
    found = [entry for _, entry in entries(tmp_path)]

    assert [entry.id for entry in found if isinstance(entry, Record)] == ["r0", "r1", "r2"]
    (event,) = (entry for entry in found if isinstance(entry, Event))
    assert event.what == "clock_went_back"
    assert 3590 < float(event.details["seconds"]) <= 3600


def test_each_day_begins_a_segment(tmp_path: Path) -> None:
    """The first record of a new day (UTC) begins a segment; a clock that went back does not."""
    fill(tmp_path, 2)
    for days in (-1, 1):
        with Ledger.open(tmp_path) as ledger:
            moment = time.time() + days * 86_400
            os.utime(tmp_path / "checkpoint.json", (moment, moment))
            ledger.append(record(2))
            ledger.append(record(3))

    assert verify(tmp_path).segments == 2


@pytest.mark.parametrize("put_back", [False, True])
def test_a_segment_taken_away_stops_the_ledger(tmp_path: Path, put_back: bool) -> None:
    """Records are not written into a file that nobody can find any more."""
    segment = tmp_path / "00000000.jsonl"
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(0))
        segment.rename(tmp_path / "elsewhere")
        if put_back:
            segment.write_bytes((tmp_path / "elsewhere").read_bytes())
        with pytest.raises(LedgerError, match="was taken away or cut"):
            ledger.append(record(1))
        with pytest.raises(LedgerError, match="takes no records"):
            ledger.append(record(2))


@pytest.mark.parametrize("put_back", [False, True])
def test_a_checkpoint_taken_away_stops_the_ledger(tmp_path: Path, put_back: bool) -> None:
    """What vouches for the records must not be overwritten where nobody can find it any more."""
    checkpoint = tmp_path / "checkpoint.json"
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(0))
        copied = checkpoint.read_bytes()
        checkpoint.unlink()
        if put_back:
            (tmp_path / "keeps the inode").touch()
            checkpoint.write_bytes(copied)
        with pytest.raises(LedgerError, match=r"checkpoint\.json was taken away or replaced"):
            ledger.append(record(1))
        with pytest.raises(LedgerError, match="takes no records"):
            ledger.append(record(2))

    assert [found.id for _, found in entries(tmp_path)] == ["r0"]


def test_a_checkpoint_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that is on the disk counts; the next ones wait until a checkpoint can follow."""
    write = os.pwrite

    def failing(file: int, data: bytes, place: int) -> int:
        if place == 0 and len(data) == (tmp_path / "checkpoint.json").stat().st_size:
            raise OSError(errno.EIO, "Input/output error")
        return write(file, data, place)

    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(0))
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", failing)
            assert ledger.append(record(1)).seq == 1
            for _ in range(2):
                with pytest.raises(LedgerError, match="cannot write the record r2"):
                    ledger.append(record(2))
        assert ledger.append(record(3)).seq == 2

    assert [found.id for _, found in entries(tmp_path)] == ["r0", "r1", "r3"]
    assert json.loads((tmp_path / "checkpoint.json").read_bytes())["count"] == 3


def test_killed_as_the_ledger_is_begun(tmp_path: Path) -> None:
    """A first start that was cut off before the public key is completed by the next."""
    Ledger.open(tmp_path).close()
    (tmp_path / "00000000.jsonl").unlink()
    (tmp_path / "public.pem").unlink()
    for missing in (None, "checkpoint.json"):
        if missing:
            (tmp_path / "public.pem").unlink()
            (tmp_path / "00000000.jsonl").unlink()
            (tmp_path / missing).unlink()
        Ledger.open(tmp_path).close()
        assert verify(tmp_path).records == 0


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Several writers are killed again and again: no record that was acknowledged is lost."""
    body = """
def write(told):
    ledger = Ledger.open(folder, segment_bytes=8000)
    def work(name):
        for number in range(10**9):
            key = f"{os.getpid()}-{name}-{number}"
            ledger.append(record(key))
            os.write(told, f"r{key}\\n".encode())  # acknowledged
    for name in range(3):
        threading.Thread(target=work, args=(name,)).start()

for _ in range(12):
    children = []
    for _ in range(3):
        out, into = os.pipe()
        children.append((os.fork(), out))
        if children[-1][0] == 0:
            write(into)
            break
        os.close(into)
    if children[-1][0] == 0:
        break
    acknowledged = {os.read(out, 64).split(b"\\n")[0].decode() for _, out in children}
    for child, _ in children:  # all were at work before the first is killed
        time.sleep(random.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
    for child, out in children:
        os.waitpid(child, 0)
        while data := os.read(out, 2**16):
            acknowledged |= {line.decode() for line in data.split(b"\\n")[:-1] if line[:1] == b"r"}
        os.close(out)
    Ledger.open(folder).close()
    found = [entry for _, entry in entries(folder)]
    assert acknowledged <= {entry.id for entry in found}
    assert verify(folder).records == len(found) and not verify(folder).unfinished
    gaps = {entry.details["file"] for entry in found if isinstance(entry, Event)}
    assert gaps == {name for name in os.listdir(folder) if ".torn-" in name}
    print(len(acknowledged))
"""
    code, out, err = outcome(script(body, tmp_path))

    counts = [int(line) for line in out.splitlines() if line.isdigit()]  # warnings stand beside

    assert code == 0, err
    assert len(counts) == 12
    assert sum(counts) > 36
    assert verify(tmp_path).segments > 3


def test_killed_between_setting_aside_and_telling(tmp_path: Path) -> None:
    """What was set aside by a writer that died at once is told of by the next."""
    fill(tmp_path, 1)
    (tmp_path / "00000000.torn-0011223344556677.pending").write_bytes(b"half")
    Ledger.open(tmp_path).close()
    Ledger.open(tmp_path).close()

    (event,) = (entry for _, entry in entries(tmp_path) if isinstance(entry, Event))
    assert (event.what, event.details["bytes"]) == ("repaired", 4)
    assert (tmp_path / "00000000.torn-0011223344556677").read_bytes() == b"half"


def test_only_what_a_writer_sets_aside_is_told_of(tmp_path: Path) -> None:
    """No other name, no link and no folder becomes an event, or keeps records away."""
    fill(tmp_path, 1)
    told = "00000000.torn-40 images of tenant acme were lost.pending"
    (tmp_path / told).write_bytes(b"x")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/00000000.torn-\xff.pending"))).write_bytes(b"x")
    (tmp_path / "00000000.torn-0011223344556677.pending").symlink_to("/etc/hostname")
    (tmp_path / "00000001.torn-0011223344556677.pending").mkdir()
    os.mkfifo(tmp_path / "00000002.torn-0011223344556677.pending")
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(1))

    assert [entry.id for _, entry in entries(tmp_path)] == ["r0", "r1"]
    assert (tmp_path / told).exists()


def test_the_event_claims_no_more_than_is_known(tmp_path: Path) -> None:
    """Whoever can write the folder can have bytes set aside, so it does not say whose they are."""
    fill(tmp_path, 1)
    (tmp_path / "00000000.torn-0011223344556677.pending").write_bytes(b"mine")
    Ledger.open(tmp_path).close()
    (event,) = (entry for _, entry in entries(tmp_path) if isinstance(entry, Event))

    assert event.reason.endswith("or what somebody put there")


def test_whole_records_that_nothing_vouches_for(tmp_path: Path) -> None:
    """Whole lines of a commit that was cut off were acknowledged to nobody: set aside as well."""
    fill(tmp_path, 2)
    before = (tmp_path / "checkpoint.json").read_bytes()
    _, data = chain(2, verify(tmp_path).head_hash, [b'{"id":"r2"}', b'{"id":"r3"}'], KEY)
    with (tmp_path / "00000000.jsonl").open("ab") as file:
        file.write(data.splitlines(keepends=True)[0])
    assert verify(tmp_path).unfinished
    assert verify(tmp_path).records == 2

    with Ledger.open(tmp_path) as ledger:
        assert ledger.append(record(3)).seq == 3
    assert b'"id":"r2"' in next(tmp_path.glob("*.torn-*")).read_bytes()
    assert (tmp_path / "checkpoint.json").read_bytes() != before
    assert verify(tmp_path).records == 4


def test_a_commit_that_another_key_signed(tmp_path: Path) -> None:
    """Whole and in its place, it is no end of this ledger: set aside, and not written on."""
    fill(tmp_path, 1)
    forge(tmp_path, record(7))
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(1))
    found = [entry for _, entry in entries(tmp_path)]

    assert [entry.id for entry in found if isinstance(entry, Record)] == ["r0", "r1"]
    assert b'"id":"r7"' in next(tmp_path.glob("*.torn-*")).read_bytes()
    assert verify(tmp_path).records == 3


def test_an_interrupt_forks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between write and acknowledgement cannot give two records one number."""

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with Ledger.open(tmp_path) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupted)
            with pytest.raises(KeyboardInterrupt):
                ledger.append(record(0))
        assert ledger.append(record(1)).seq == 1

    assert verify(tmp_path).records == 2


def test_a_failed_sync_stops_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk cannot say what it holds, nothing more is accepted until it is opened anew."""

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Ledger.open(tmp_path) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with pytest.raises(LedgerError, match="the disk failed"):
                ledger.append(record(0))
        with pytest.raises(LedgerError, match="takes no records: the disk failed"):
            ledger.append(record(1))

    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(2))
    assert not verify(tmp_path).unfinished


def test_crash_before_the_checkpoint(tmp_path: Path) -> None:
    """A checkpoint that lags behind the last record is mended; the record stays."""
    fill(tmp_path, 2)
    lagging = (tmp_path / "checkpoint.json").read_bytes()
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(2))
    (tmp_path / "checkpoint.json").write_bytes(lagging)
    assert verify(tmp_path).records == 3

    Ledger.open(tmp_path).close()

    assert json.loads((tmp_path / "checkpoint.json").read_bytes())["count"] == 3


@pytest.mark.parametrize("start", [b"", b'{"hash":"00'])
def test_crash_in_a_new_segment(tmp_path: Path, start: bytes) -> None:
    """A new segment that holds no whole record yet does not hide the chain before it."""
    fill(tmp_path, 2, segment_bytes=1)
    (tmp_path / "00000002.jsonl").write_bytes(start)
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(2))

    assert verify(tmp_path).records == (4 if start else 3)
    assert verify(tmp_path).segments == 3


# --- what open refuses ------------------------------------------------------------------------


def _cut_last_line(folder: Path) -> None:
    path = folder / "00000001.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def _cut_newline(folder: Path) -> None:
    path = folder / "00000001.jsonl"
    path.write_bytes(path.read_bytes()[:-1])


def _delete_segments(folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        path.unlink()


def _delete_all_but_keys(folder: Path) -> None:
    _delete_segments(folder)
    _delete_checkpoint(folder)


def _delete_checkpoint(folder: Path) -> None:
    (folder / "checkpoint.json").unlink()


def _edit_checkpoint(folder: Path) -> None:
    path = folder / "checkpoint.json"
    path.write_bytes(path.read_bytes().replace(b'"count":4', b'"count":3'))


@pytest.mark.parametrize(
    "attack",
    [
        _cut_last_line,
        _cut_newline,
        _delete_segments,
        _delete_checkpoint,
        _delete_all_but_keys,
        _edit_checkpoint,
    ],
)
def test_open_refuses_a_tampered_end(tmp_path: Path, attack: Callable[[Path], None]) -> None:
    """A chain whose end was changed is not written on, and not touched."""
    fill(tmp_path, 4, segment_bytes=1000)
    attack(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("*.json*")}

    with pytest.raises(LedgerTamperedError):
        Ledger.open(tmp_path)

    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.json*")} == before


def test_open_refuses_another_end_than_the_checkpoint_tells(tmp_path: Path) -> None:
    """A last record that is signed, but not the one that was written last, is a second history."""
    fill(tmp_path / "one", 1)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for number, name in enumerate(("one", "two"), 1):
        with Ledger.open(tmp_path / name) as ledger:
            ledger.append(record(number))
    shutil.copy(tmp_path / "two" / "00000000.jsonl", tmp_path / "one")

    with pytest.raises(LedgerTamperedError, match="not the one that was written last") as caught:
        Ledger.open(tmp_path / "one")
    assert caught.value.kind == Tampering.FORKED
