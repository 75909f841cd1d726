"""Verifying a ledger: whatever was changed is found, at the record where it begins."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from shutil import copy, copytree, rmtree
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from safegen.audit.ledger import Ledger, read, standalone, verify
from safegen.audit.ledger.format import (
    Checkpoint,
    canonical,
    chain,
    decode,
    encode_checkpoint,
    segments,
)
from safegen.audit.ledger.keys import public_pem
from safegen.audit.ledger.standalone import checker
from safegen.errors import LedgerTamperedError
from safegen.nouns import Context, Finding, ImageRecord, Outcome, Record, Scores

COUNT = 6
INTS = st.integers(0, 2**53 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCORES = st.builds(
    Scores,
    values=st.dictionaries(st.text(), st.floats(0, 1), max_size=3),
    facts=st.dictionaries(st.text(), st.booleans(), max_size=3),
)
IMAGES = st.builds(
    ImageRecord,
    seed=INTS,
    outcome=st.sampled_from(Outcome),
    actions=st.lists(st.text(), max_size=2).map(tuple),
    findings=st.lists(
        st.builds(
            Finding,
            detector=st.text(),
            detector_digest=st.text(),
            label=st.text(),
            score=st.floats(0, 1),
            box=st.none() | st.tuples(FLOATS, FLOATS, FLOATS, FLOATS),
        ),
        max_size=2,
    ).map(tuple),
)
RECORDS = st.builds(
    Record,
    id=st.text(),
    time=st.text(),
    outcome=st.sampled_from(Outcome),
    prompt_commitment=st.text(),
    context=st.builds(Context, tenant=st.text(), seed=st.integers(0, 2**48)),
    scores=SCORES,
    sampler=st.dictionaries(st.text(), st.text() | INTS | INTS.map(lambda n: -n) | FLOATS),
    images=st.lists(IMAGES, max_size=2).map(tuple),
    error=st.text(),
    safegen=st.text(),
)


def record(number: int) -> Record:
    """A small record whose id says its number."""
    return Record(
        id=f"r{number}",
        time="2026-01-01T00:00:00.000+00:00",
        outcome=Outcome.STEERED,
        prompt_commitment="hmac-sha256:00",
        context=Context(tenant="Zoë"),
        scores=Scores(values={"violence": 0.25}),
        safegen="test",
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of COUNT records in three segments of two; not to be changed for good."""
    folder = tmp_path_factory.mktemp("written")
    with Ledger.open(folder, segment_bytes=1200) as ledger:
        for number in range(COUNT):
            ledger.append(record(number))
    assert len(segments(folder)) == 3
    return folder


@pytest.fixture
def ledger(written: Path, tmp_path: Path) -> Path:
    """A copy of it to tamper with."""
    return Path(copytree(written, tmp_path / "ledger"))


@contextmanager
def changed(path: Path, place: int, mask: int) -> Iterator[None]:
    """One byte of a file changed for a while."""
    data = path.read_bytes()
    path.write_bytes(data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :])
    try:
        yield
    finally:
        path.write_bytes(data)


def signed_files(folder: Path) -> list[tuple[Path, int, tuple[int, str]]]:
    """Every byte that must not change: its file, its place, and what verification says of it."""
    places = []
    seq = 0
    for path in segments(folder):
        for place, byte in enumerate(path.read_bytes()):
            places.append((path, place, (seq, "altered")))
            seq += byte == ord("\n")
    places[-1] = (*places[-1][:2], (seq - 1, "truncated"))  # a line without its newline is half
    checkpoint = folder / "checkpoint.json"
    size = checkpoint.stat().st_size
    return places + [(checkpoint, place, (seq, "altered")) for place in range(size)]


def lines(folder: Path) -> list[bytes]:
    """The lines of all segments, with their newlines."""
    return [x for path in segments(folder) for x in path.read_bytes().splitlines(keepends=True)]


def rewrite(folder: Path, new: list[bytes]) -> None:
    """Put these lines in the place of all there are, in one segment."""
    for path in segments(folder):
        path.unlink()
    (folder / "00000000.jsonl").write_bytes(b"".join(new))


def blamed(folder: Path, public_key: Path | None = None) -> tuple[int, str]:
    """The record that verification names, and what it says was done to it."""
    with pytest.raises(LedgerTamperedError) as caught:
        verify(folder, public_key=public_key)
    with pytest.raises(standalone.TamperedError) as alone:  # with an Ed25519 of its own
        standalone.walk(folder, checker((public_key or folder / "public.pem").read_bytes()))
    assert (alone.value.kind, str(alone.value)) == (caught.value.kind, caught.value.message)
    return caught.value.seq, caught.value.kind


def write_at_once(folder: Path, count: int) -> None:
    """Append records as one commit: only the last is signed."""
    with Ledger.open(folder) as ledger:
        numbers = range(COUNT, COUNT + count)
        ledger._tail.write([canonical(record(n).model_dump(mode="json")) for n in numbers])


def hashed_anew(folder: Path, start: int, stop: int) -> list[bytes]:
    """The lines from `start` on, allowed instead of steered, hashed and chained by a forger."""
    last, new = decode(lines(folder)[start]).prev, []
    for number, data in enumerate(lines(folder)[start:stop], start):
        told = data.replace(b'"steered"', b'"allowed"')
        told = told.replace(decode(data).prev.encode(), last.encode())
        last = sha256(b"{" + told[75:-1]).hexdigest()
        new.append(told[:9] + last.encode() + told[73:])
        assert decode(new[-1]).seq == number
    return new


# --- sound ledgers ----------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(RECORDS, max_size=4), st.sampled_from([1, 1500, 2**20]))
def test_whatever_was_appended_verifies(records: list[Record], segment_bytes: int) -> None:
    """Any records that `append` accepts verify, and read back as they were."""
    with TemporaryDirectory() as folder:
        with Ledger.open(folder, segment_bytes=segment_bytes) as ledger:
            for each in records:
                ledger.append(each)

        assert verify(folder).records == len(records)
        assert [found for _, found in read(folder)] == records


def test_says_what_it_verified(ledger: Path) -> None:
    """The counts are those of the ledger, the hash that of its last line."""
    found = verify(ledger)

    assert (found.records, found.segments, found.unfinished) == (COUNT, 3, False)
    assert found.head_hash == decode(lines(ledger)[-1]).hash


def test_a_writer_at_work_is_no_tampering(tmp_path: Path) -> None:
    """Verification may run while records are appended and segments begin."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            writer.append(record(number))
            number += 1

    with Ledger.open(tmp_path, segment_bytes=2000) as writer:
        thread = threading.Thread(target=write)
        thread.start()
        counts: list[int] = []
        ends = time.monotonic() + 60
        try:  # until some records came while it looked: on a slow disk the first takes a while
            while len(counts) < 25 or (counts[-1] < 5 and time.monotonic() < ends):
                counts.append(verify(tmp_path).records)
        finally:
            stop.set()
            thread.join()

    assert counts == sorted(counts)
    assert verify(tmp_path).records >= counts[-1] > 0


def test_unfinished_record_is_told(ledger: Path) -> None:
    """Bytes of a record that nobody was told of are no tampering, and are reported."""
    with segments(ledger)[-1].open("ab") as file:
        file.write(b'{"hash":"')

    assert verify(ledger).unfinished
    assert verify(ledger).records == COUNT


# --- changed bytes ----------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(data=st.data(), mask=st.integers(1, 255))
def test_a_changed_byte_is_found(written: Path, data: st.DataObject, mask: int) -> None:
    """Any byte of any segment or the checkpoint changed to any other names the right record."""
    path, place, told = data.draw(st.sampled_from(signed_files(written)))
    with changed(path, place, mask):
        assert blamed(written) == told


def test_every_byte_is_covered(tmp_path: Path) -> None:
    """No place at all is left out: each byte in turn, with the bit that makes letters capitals."""
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(0))
    for path, place, told in signed_files(tmp_path):
        with changed(path, place, 0x20):
            assert blamed(tmp_path) == told, f"{path.name}, byte {place}"


def test_names_file_line_and_record(ledger: Path) -> None:
    """The message says where to look: file and line, number and id of the record."""
    path = segments(ledger)[1]
    path.write_bytes(path.read_bytes().replace(b'"outcome":"steered"', b'"outcome":"allowed"', 1))

    with pytest.raises(LedgerTamperedError, match=r"00000001\.jsonl:1: record 2 .*id r2"):
        verify(ledger)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b"9" * 5000 + b"\n",
        b'{"hash":[],"prev":{},"record":[],"seq":[],"signature":1}\n',
        b'{"hash":"00","prev":"00","record":{"x":NaN},"seq":0,"signature":"00"}\n',
    ],
)
def test_any_bytes_for_a_line(ledger: Path, line: bytes) -> None:
    """Whatever stands in a line's place is reported as a changed record, not as a crash."""
    content = lines(ledger)
    rewrite(ledger, [*content[:3], line, *content[4:]])

    assert blamed(ledger) == (3, "altered")


# --- lines removed, inserted, moved -----------------------------------------------------------


@pytest.mark.parametrize("number", range(COUNT))
def test_a_removed_line_is_found(ledger: Path, number: int) -> None:
    """Each line is missed, the last one too."""
    content = lines(ledger)
    rewrite(ledger, content[:number] + content[number + 1 :])

    assert blamed(ledger) == (number, "removed" if number < COUNT - 1 else "truncated")


@pytest.mark.parametrize("number", range(COUNT - 1))
def test_swapped_lines_are_found(ledger: Path, number: int) -> None:
    """Two neighbours that changed places are reported at the first."""
    content = lines(ledger)
    content[number], content[number + 1] = content[number + 1], content[number]
    rewrite(ledger, content)

    assert blamed(ledger) == (number, "reordered")


@pytest.mark.parametrize("number", range(COUNT))
def test_a_repeated_line_is_found(ledger: Path, number: int) -> None:
    """A line written twice is reported where the second stands."""
    content = lines(ledger)
    rewrite(ledger, [*content[: number + 1], *content[number:]])

    assert blamed(ledger) == (number + 1, "reordered")


def test_a_forged_line_is_found(ledger: Path) -> None:
    """A record added with right number and hashes, but another key, is not signed."""
    content = lines(ledger)
    head = decode(content[-1]).hash
    _, forged = chain(
        COUNT, head, [canonical(record(9).model_dump())], Ed25519PrivateKey.generate()
    )
    rewrite(ledger, [*content, forged])

    assert blamed(ledger) == (COUNT, "altered")


def test_an_unsigned_line_is_not_counted(ledger: Path) -> None:
    """A record added without a signature is vouched for by nobody, which is told."""
    content, checkpoint = lines(ledger), (ledger / "checkpoint.json").read_bytes()
    with Ledger.open(ledger) as writer:
        writer.append(record(9))
    added = lines(ledger)[-1]
    body = b"{" + added[75:-145] + b"}"
    bare = b'{"hash":"%s",%s\n' % (sha256(body).hexdigest().encode(), body[1:])
    assert decode(bare).seq == COUNT
    rewrite(ledger, [*content, bare])

    assert blamed(ledger) == (COUNT, "altered")  # the checkpoint knows the one that was signed
    with (ledger / "checkpoint.json").open("r+b") as file:
        file.write(checkpoint)
    assert verify(ledger).unfinished
    assert verify(ledger).records == COUNT


@pytest.mark.parametrize("number", range(COUNT))
def test_a_record_changed_and_hashed_anew(ledger: Path, number: int) -> None:
    """A forger who mends hash and chain of what follows, but cannot sign, is found where he began.

    Or only the hash of the one record: the next one does not fit, and the changed one is named.
    """
    content = lines(ledger)
    for stop in (COUNT, number + 1):
        forged = hashed_anew(ledger, number, stop)
        rewrite(ledger, [*content[:number], *forged, *content[stop:]])
        assert blamed(ledger) == (number, "altered")
        rewrite(ledger, content)


def test_changes_within_a_commit(ledger: Path) -> None:
    """Of records written at once one signature vouches for all: changes are found all the same."""
    write_at_once(ledger, 4)
    content = lines(ledger)
    forged = hashed_anew(ledger, COUNT + 1, COUNT + 2)
    rewrite(ledger, [*content[: COUNT + 1], *forged, *content[COUNT + 2 :]])
    assert blamed(ledger) == (COUNT + 1, "altered")

    rewrite(ledger, content)
    forged = hashed_anew(ledger, COUNT + 1, COUNT + 4)
    rewrite(ledger, [*content[: COUNT + 1], *forged])
    assert blamed(ledger) == (COUNT, "altered")  # the commit begins there


def test_a_signature_taken_away_is_found(ledger: Path) -> None:
    """A signed line without its signature is a changed line, also where others follow."""
    content = lines(ledger)
    content[2] = content[2][:-145] + b"}\n"
    rewrite(ledger, content)

    assert blamed(ledger) == (2, "altered")


def test_two_records_of_one_number(ledger: Path, tmp_path: Path) -> None:
    """Another history of the same key, appended to this one, is a fork."""
    other = Path(copytree(ledger, tmp_path / "other"))
    for folder, number in ((ledger, 10), (other, 20)):
        with Ledger.open(folder) as writer:
            writer.append(record(number))
    rewrite(ledger, [*lines(ledger), lines(other)[-1]])

    assert blamed(ledger) == (COUNT + 1, "forked")


@pytest.mark.parametrize("kept", range(COUNT))
def test_a_cut_tail_is_found(ledger: Path, kept: int) -> None:
    """However few records are left, the first one missing is named."""
    rewrite(ledger, lines(ledger)[:kept])

    assert blamed(ledger) == (kept, "truncated")


@pytest.mark.parametrize(("number", "first"), [(0, 0), (1, 2), (2, 4)])
def test_a_missing_segment_is_found(ledger: Path, number: int, first: int) -> None:
    """A deleted segment is reported by its first record."""
    segments(ledger)[number].unlink()

    assert blamed(ledger) == (first, "truncated" if number == 2 else "removed")


def test_a_renamed_segment_is_found(ledger: Path) -> None:
    """Segments are numbered without gaps, so that the missing one can be named."""
    segments(ledger)[1].rename(ledger / "00000001a.jsonl")

    with pytest.raises(LedgerTamperedError, match=r"segment 00000001\.jsonl with record 2 is gone"):
        verify(ledger)


def test_spliced_histories_are_found(ledger: Path, tmp_path: Path) -> None:
    """Signed lines of two pasts, one of which was taken back, do not make one ledger."""
    other = Path(copytree(ledger, tmp_path / "other"))
    for folder, start in ((ledger, 10), (other, 20)):
        with Ledger.open(folder) as writer:
            for number in range(3):
                writer.append(record(start + number))
    content = lines(ledger)
    content[COUNT + 1] = lines(other)[COUNT + 1]
    rewrite(ledger, content)

    assert blamed(ledger) == (COUNT + 1, "forked")


def test_all_segments_gone_is_found(ledger: Path) -> None:
    """An emptied ledger is not a new one."""
    for path in segments(ledger):
        path.unlink()

    assert blamed(ledger) == (0, "truncated")


def test_a_missing_checkpoint_is_found(ledger: Path) -> None:
    """Without the checkpoint nobody can say that the tail is whole."""
    (ledger / "checkpoint.json").unlink()

    assert blamed(ledger) == (COUNT, "removed")


# --- what was kept apart ----------------------------------------------------------------------


def test_a_ledger_replaced_key_and_all_is_found(ledger: Path, tmp_path: Path) -> None:
    """A whole new chain under a new key passes on its own, and fails the public key kept apart."""
    kept = Path(copy(ledger / "public.pem", tmp_path / "kept.pem"))
    key = Ed25519PrivateKey.generate()
    told = [canonical(decode(line).record | {"outcome": "allowed"}) for line in lines(ledger)]
    hashes, data = chain(0, "0" * 64, told, key)
    rewrite(ledger, data.splitlines(keepends=True))
    (ledger / "public.pem").write_bytes(public_pem(key))
    (ledger / "checkpoint.json").write_bytes(encode_checkpoint(Checkpoint(COUNT, hashes[-1]), key))

    assert verify(ledger).records == COUNT
    assert blamed(ledger, kept) == (0, "altered")


def test_a_ledger_set_back_is_found(ledger: Path, tmp_path: Path) -> None:
    """An older copy of everything passes on its own, and fails the checkpoint kept apart."""
    old = Path(copytree(ledger, tmp_path / "old"))
    with Ledger.open(ledger) as writer:
        writer.append(record(COUNT))
    kept = Path(copy(ledger / "checkpoint.json", tmp_path / "kept.json"))
    rmtree(ledger)
    old.rename(ledger)

    assert verify(ledger).records == COUNT
    with pytest.raises(LedgerTamperedError, match="record 6 is missing or cut off"):
        verify(ledger, checkpoint=kept)


VOUCHED = r"record 5 .*id r105.* vouches for"


@pytest.mark.parametrize(
    ("count", "told"), [(1, "record 1 is missing or cut"), (COUNT, VOUCHED), (COUNT + 1, VOUCHED)]
)
def test_a_ledger_begun_anew_with_its_key_is_found(
    ledger: Path, tmp_path: Path, count: int, told: str
) -> None:
    """Who has the private key can sign another past, but not one that fits a kept checkpoint."""
    kept = Path(copy(ledger / "checkpoint.json", tmp_path / "kept.json"))
    key = Path(copy(ledger / "key.pem", tmp_path / "stolen.pem"))
    rmtree(ledger)
    with Ledger.open(ledger, key=key) as writer:
        for number in range(count):
            writer.append(record(number + 100))

    assert verify(ledger).records == count
    with pytest.raises(LedgerTamperedError, match=told) as caught:
        verify(ledger, checkpoint=kept)
    assert caught.value.kind == ("truncated" if count < COUNT else "forked")


def test_an_earlier_checkpoint_fits_a_longer_ledger(ledger: Path, tmp_path: Path) -> None:
    """A checkpoint kept some records ago does not complain of those written since."""
    kept = Path(copy(ledger / "checkpoint.json", tmp_path / "kept.json"))
    with Ledger.open(ledger) as writer:
        writer.append(record(COUNT))

    assert verify(ledger, checkpoint=kept).records == COUNT + 1
