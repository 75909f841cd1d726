"""Reading a ledger's records and finding one."""

from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest
import writers
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from ledgers import forge, planted

from safegen.audit.ledger import Ledger, entries, find, query, read
from safegen.audit.ledger.event import VERSION
from safegen.audit.ledger.format import canonical, chain, check_with, decode
from safegen.audit.ledger.keys import load_private_key
from safegen.audit.ledger.query import Place, SingleLines
from safegen.audit.ledger.standalone import Check
from safegen.errors import LedgerError, LedgerTamperedError, Tampering
from safegen.nouns import Record


def record(name: str) -> Record:
    """A small record with this id."""
    return writers.record(0, id=name)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Four records, each in a segment of its own."""
    with Ledger.open(tmp_path, segment_bytes=1) as ledger:
        for name in ("ab12", "ab34", "cd56", "cd"):
            ledger.append(record(name))
    return tmp_path


def test_reads_in_order(ledger: Path) -> None:
    """Records come oldest first with their numbers, through all segments."""
    names = ("ab12", "ab34", "cd56", "cd")

    assert list(read(ledger)) == [(seq, record(name)) for seq, name in enumerate(names)]


@pytest.mark.parametrize("after", [-1, 0, 2, 3, 7])
def test_reads_on_from_a_number(ledger: Path, after: int) -> None:
    """Only what comes after is given; segments that end before are not even looked at."""
    for number in range(min(after, 3)):
        (ledger / f"0000000{number}.jsonl").write_bytes(b"damaged\n")

    assert [seq for seq, _ in entries(ledger, after=after)] == list(range(after + 1, 4))


def test_leaves_out_what_is_being_written(ledger: Path) -> None:
    """Half a line at the end is not read."""
    with (ledger / "00000003.jsonl").open("ab") as file:
        file.write(b'{"hash"')

    assert len(list(read(ledger))) == 4


def test_leaves_out_what_no_signature_vouches_for(ledger: Path) -> None:
    """Whole lines of a commit that is not finished are not read, nor what a crash left of one."""
    last = ledger / "00000003.jsonl"
    key = load_private_key(ledger / "key.pem")
    whole = last.read_bytes()
    _, data = chain(4, decode(whole).hash, [canonical({"id": "x"}), canonical({"id": "y"})], key)
    last.write_bytes(whole + data[: data.index(b"\n") + 1])

    assert [entry.id for _, entry in entries(ledger)] == ["ab12", "ab34", "cd56", "cd"]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The segment of a ledger of four records, each signed."""
    with Ledger.open(tmp_path) as ledger:
        for number in range(4):
            ledger.append(record(f"r{number}"))
    return tmp_path / "00000000.jsonl"


def read_until(segment: Path) -> tuple[list[str], LedgerTamperedError]:
    """The ids of what is read, and the error that comes then."""
    found: list[str] = []
    with pytest.raises(LedgerTamperedError) as caught:
        found.extend(entry.id for _, entry in entries(segment.parent))
    return found, caught.value


def test_a_line_that_another_key_signed_is_not_read(whole: Path) -> None:
    """Though it follows the last one and matches its hash; all before it is."""
    forge(whole.parent, record("r4"))
    found, error = read_until(whole)

    assert found == ["r0", "r1", "r2", "r3"]
    assert "line 4 is not signed with this ledger's key" in error.message
    assert (error.kind, error.seq) == (Tampering.ALTERED, 4)


@pytest.mark.parametrize("at_once", [1, 128])
def test_a_changed_line_with_its_hashes_mended_is_not_read(
    whole: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody without the key can mend the signatures; however many lines are checked at once."""
    monkeypatch.setattr(query, "_AT_ONCE", at_once)
    first, *rest = whole.read_bytes().splitlines(keepends=True)
    mended, prev = first, decode(first).hash.encode()
    for line in rest:
        body = b'"prev":"' + prev + line.replace(b'"r1"', b'"rX"').partition(b'"prev":"')[2][64:-2]
        prev = sha256(b"{" + body + b"}").hexdigest().encode()
        mended += b'{"hash":"' + prev + b'",' + body + b"}\n"
    whole.write_bytes(mended)
    found, error = read_until(whole)

    assert found == ["r0"]
    assert (error.kind, error.seq) == (Tampering.ALTERED, 1)


@pytest.mark.parametrize(
    ("order", "kind"),
    [([0, 2, 3], Tampering.REMOVED), ([0, 1, 2, 3, 1], Tampering.FORKED)],
)
def test_a_line_out_of_its_place_is_not_read(
    whole: Path, order: list[int], kind: Tampering
) -> None:
    """One that is missing or repeated ends the reading, after what stands before it."""
    given = whole.read_bytes().splitlines(keepends=True)
    whole.write_bytes(b"".join(given[number] for number in order))
    found, error = read_until(whole)

    assert found == ["r0", "r1", "r2", "r3"][: 1 if kind == Tampering.REMOVED else 4]
    assert f"line {order[len(found)]} does not follow line {len(found) - 1}" in error.message
    assert error.kind == kind


def test_one_signature_is_checked_for_many_lines(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each vouches for all before it, and checking one takes longer than reading a line."""
    checked: list[bytes] = []

    def counting(key: Ed25519PublicKey) -> Check:
        def check(message: bytes, signature: bytes) -> bool:
            checked.append(message)
            return check_with(key)(message, signature)

        return check

    monkeypatch.setattr(query, "check_with", counting)

    assert len(list(read(whole.parent))) == 4
    assert len(checked) == 1


def test_a_new_ledger_has_no_records(tmp_path: Path) -> None:
    """A ledger that nothing was appended to reads as empty."""
    Ledger.open(tmp_path).close()

    assert list(read(tmp_path)) == []


def test_a_changed_record_is_not_read(ledger: Path) -> None:
    """A line that does not match its hash is an error that points to verification."""
    path = ledger / "00000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b"allowed", b"blocked"))

    with pytest.raises(LedgerError, match=r"(?s)00000001\.jsonl, byte 0, .*id ab34.*audit verify"):
        list(read(ledger))


def test_no_ledger(tmp_path: Path) -> None:
    """A folder without a ledger is told as such, not read as empty."""
    with pytest.raises(LedgerError, match="is not a ledger"):
        list(read(tmp_path / "nowhere"))


@pytest.mark.parametrize(("wanted", "seq"), [("ab34", 1), ("ab1", 0), ("cd", 3), ("cd5", 2)])
def test_finds_by_id_or_its_beginning(ledger: Path, wanted: str, seq: int) -> None:
    """A whole id wins; the beginning will do where it fits one record only."""
    assert find(ledger, wanted)[0] == seq


@pytest.mark.parametrize(("wanted", "told"), [("ab", "several records"), ("ef", "no record")])
def test_does_not_guess(ledger: Path, wanted: str, told: str) -> None:
    """Several records, or none, are an error."""
    with pytest.raises(LedgerError, match=told):
        find(ledger, wanted)


@pytest.mark.parametrize(
    ("version", "told"), [("9.0", "written by SafeGen 9.0"), (VERSION, "is not a record")]
)
def test_a_line_of_another_version(tmp_path: Path, version: str, told: str) -> None:
    """What this one does not know is told as that, and not as damage."""

    class Newer(Record):
        latency: int = 0

    with Ledger.open(tmp_path) as opened:
        opened.append(Newer(**(record("new").model_dump() | {"safegen": version})))
    with pytest.raises(LedgerError, match=told) as caught:
        list(read(tmp_path))
    assert ("read it with that version" in str(caught.value)) == (version == "9.0")


def places(segment: Path) -> list[Place]:
    """Where each line of the first segment begins."""
    lengths = [len(data) for data in segment.read_bytes().splitlines(keepends=True)]
    return [Place(0, sum(lengths[:number])) for number in range(len(lengths))]


def test_a_single_line_is_read_wherever_it_is_in_its_commit(whole: Path) -> None:
    """The signature at the end of the commit vouches for it, in whatever order one asks."""
    with Ledger.open(whole.parent) as ledger:
        threads = [Thread(target=ledger.append, args=(record(f"s{n}"),)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = [seq for seq, _ in entries(whole.parent)]
    forwards, backwards = SingleLines(whole.parent), SingleLines(whole.parent)

    assert [forwards.at(place).seq for place in places(whole)] == found
    assert [backwards.at(place).seq for place in places(whole)[::-1]] == found[::-1]


def test_a_single_line_that_nobody_signed_is_refused(whole: Path) -> None:
    """Added at the end, or by another key, or in a file that is no segment; the rest is read."""
    read_before = SingleLines(whole.parent)
    assert read_before.at(places(whole)[3]).record["id"] == "r3"
    (start,) = planted(whole.parent, (4, record("r4")))
    made = (whole.parent / "-0000001.jsonl").read_bytes()
    forge(whole.parent, record("r4"))
    with whole.open("ab") as file:
        file.write(made)
    *good, signed, unsigned = places(whole)

    for single in (read_before, SingleLines(whole.parent)):
        assert [single.at(place).seq for place in good] == [0, 1, 2, 3]
        for place in (signed, unsigned):
            with pytest.raises(LedgerTamperedError, match="no signature of this ledger's key"):
                single.at(place)
        with pytest.raises(LedgerError, match="has no segment -1"):
            single.at(Place(-1, start))
        for nowhere in (Place(0, 10**9), Place(7, 0), Place(0, 5)):
            with pytest.raises(LedgerError):
                single.at(nowhere)


def test_a_single_line_is_changed_in_vain(whole: Path) -> None:
    """With its own hash mended and all those after it, a signature still gives it away."""
    key = Ed25519PrivateKey.generate()
    contents = [canonical(record(f"x{n}").model_dump(mode="json")) for n in range(4)]
    _, data = chain(0, "0" * 64, contents, key)
    real = whole.read_bytes().splitlines(keepends=True)[-1]
    whole.write_bytes(data.rpartition(b"\n{")[0] + b"\n" + real)

    with pytest.raises(LedgerTamperedError, match="vouches for line 0"):
        SingleLines(whole.parent).at(Place())
