"""Verify a ledger with Python 3.11 alone: `python standalone.py FOLDER [--json]`.

Evidence leaves the house with this file, so it imports nothing but the standard library; inside
SafeGen, `verify` runs the same walk with a faster Ed25519. Says `intact` (exit 0), or which record
is the first that is not what was written, and whether it was altered, removed, reordered,
truncated or forked (exit 1); exit 2 if there is no ledger to verify.

A line is `{"hash":"…","prev":"…","record":{…},"seq":0}` in canonical JSON (RFC 8785).
hash = SHA-256 of the line without its `"hash":"…",` and newline; prev = hash of the line before.
The last line of each commit also has a `"signature"`: Ed25519 over LINE and the SHA-256 of the line
without hash and signature. It vouches for all lines before it; the hash covers it like any byte.
Whole segments at the beginning may be gone if an event `purged` in the rest tells of the last one.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

GENESIS = "0" * 64
CHECKPOINT, PUBLIC_KEY = "checkpoint.json", "public.pem"
LONGEST_LINE = 16 * 2**20
# What is signed begins with what it is, so that one kind of statement cannot pass as another.
LINE_STATEMENT = b"safegen ledger line\n"
CHECKPOINT_STATEMENT = b"safegen ledger checkpoint\n"

Check = Callable[[bytes, bytes], bool]
"""Whether the second argument is the ledger's signature over the first."""

_LINE = re.compile(
    rb'\{"hash":"([0-9a-f]{64})","prev":"([0-9a-f]{64})","record":(\{.*\}),"seq":(0|[1-9]\d{0,15})'
    rb'(?:,"signature":"([0-9a-f]{128})")?\}\n'
)
_DIGITS = re.compile(r"^[0-9]{1,9}")
BODY = len('{"hash":"') + 64 + len('",')  # what follows is hashed
_SIGNATURE = len(',"signature":""}\n') + 128
_CHECKPOINT_SIZE = 256


class NoLedgerError(Exception):
    """There is nothing that could be verified."""


class TamperedError(Exception):
    """Record `seq` is the first that is not what was written."""

    def __init__(self, kind: str, seq: int, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.seq = seq


class Line(NamedTuple):
    """A line that matches its hash; `record` as bytes, `signature` empty for most."""

    seq: int
    prev: str
    hash: str
    record: bytes
    signature: str


@dataclass(frozen=True)
class Checkpoint:
    """What the writer vouches for: `count` records, the last of which has the hash `hash`."""

    count: int
    hash: str


class Found(NamedTuple):
    """What was verified; no signature vouches for `unfinished` bytes, a tombstone for `purged`."""

    records: int
    segments: int
    head_hash: str
    unfinished: bool
    purged: int


def parse_line(data: bytes) -> Line:
    """The line in these bytes, newline and all.

    Raises:
        ValueError: they are no line, or do not match their hash.
    """
    match = _LINE.fullmatch(data)
    if match is None:
        raise ValueError("it is not a ledger line")
    digest, prev, record, seq, signature = match.groups()
    if hashlib.sha256(b"{" + data[BODY:-1]).hexdigest().encode() != digest:
        raise ValueError(f"it does not match its hash{_named(record)}")
    return Line(int(seq), prev.decode(), digest.decode(), record, (signature or b"").decode())


def _named(record: bytes) -> str:
    with suppress(ValueError, KeyError, RecursionError):  # whoever changed it may have left no JSON
        told = str(json.loads(record)["id"])[:80]
        return f" (record id {told})" if told.isprintable() else ""
    return ""


def line_statement(data: bytes) -> bytes:
    """What the signature of a signed line is over."""
    return LINE_STATEMENT + hashlib.sha256(b"{" + data[BODY:-_SIGNATURE] + b"}").digest()


def checkpoint_statement(checkpoint: Checkpoint) -> bytes:
    """What the signature of a checkpoint is over."""
    count, digest = checkpoint.count, checkpoint.hash
    return CHECKPOINT_STATEMENT + b'{"count":%d,"hash":"%s"}' % (count, digest.encode())


def checkpoint_bytes(checkpoint: Checkpoint, signature: bytes) -> bytes:
    """The file's bytes: of one length, so that it can be overwritten where it stands."""
    count, digest = checkpoint.count, checkpoint.hash
    text = f'{{"count":{count},"hash":"{digest}","signature":"{signature.hex()}"}}'
    return text.ljust(_CHECKPOINT_SIZE - 1).encode() + b"\n"


def parse_checkpoint(data: bytes, check: Check) -> Checkpoint:
    """The checkpoint in these bytes.

    Raises:
        ValueError: they are damaged or not signed with the ledger's key.
    """
    try:
        value = json.loads(data)
        found = Checkpoint(int(value["count"]), str(value["hash"]))
        signature = bytes.fromhex(value["signature"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"it is not a ledger checkpoint: {error}") from error
    if checkpoint_bytes(found, signature) != data:
        raise ValueError("it is not a ledger checkpoint as it was written")
    if not check(checkpoint_statement(found), signature):
        raise ValueError("it is not signed with this ledger's key")
    return found


def read_checkpoint(path: Path, check: Check) -> Checkpoint:
    """The checkpoint in a file that a writer may be overwriting.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged or not signed with the ledger's key.
    """
    for pause in (0.01, 0.05):
        try:
            return parse_checkpoint(path.read_bytes(), check)
        except ValueError:
            time.sleep(pause)
    return parse_checkpoint(path.read_bytes(), check)


# --- the walk ---------------------------------------------------------------------------------


def segments(folder: Path) -> list[Path]:
    """The segment files, in order."""
    return sorted(folder.glob("[0-9]*.jsonl"))


def segment_name(number: int) -> str:
    """File name of the segment with this number, counted from 0."""
    return f"{number:08d}.jsonl"


def number_of(segment: Path) -> int:
    """The number in a segment's name, whatever else is in it."""
    return int(_DIGITS.findall(segment.name)[0])


def walk(folder: Path, check: Check, kept: Sequence[Checkpoint] = ()) -> Found:
    """Verify the whole chain, one line in memory at a time; writers and purges may go on meanwhile.

    Args:
        folder: the ledger.
        check: verifies a signature under the ledger's public key.
        kept: earlier checkpoints that it must not contradict.

    Raises:
        TamperedError: names the first record that is not what was written.
        NoLedgerError: the folder holds no ledger.
        OSError: a file cannot be read.
    """
    own, files = folder / CHECKPOINT, segments(folder)
    if not own.exists() and not files:
        raise NoLedgerError(f"{folder} is not a ledger")
    # Read before the lines, so that a writer at work cannot seem to have lost any.
    claims, damage = list(kept), None
    try:
        claims.append(read_checkpoint(own, check))
    except (FileNotFoundError, ValueError) as error:
        damage = error
    try:
        found = _Walk(folder, check, claims).run()
    except FileNotFoundError:
        if segments(folder)[:1] == files[:1]:
            raise
        return walk(folder, check, kept)  # the beginning was purged meanwhile
    if damage is not None:  # told last: a changed record says more
        count = found.purged + found.records
        kind = "removed" if isinstance(damage, OSError) else "altered"
        message = f"after {count} records: the checkpoint {own} is missing or was changed: {damage}"
        raise TamperedError(kind, count, message)
    return found


class _Place(NamedTuple):
    """Bytes up to a newline, and where they stand."""

    path: Path
    row: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.path}:{self.row}"


def _tombstone(record: bytes) -> tuple[int, int, str]:
    """The segment that an event says was purged, and number and hash of the last line in it."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        event = json.loads(record)
        if (event["kind"], event["what"]) == ("event", "purged"):
            told = event["details"]
            return int(told["segment"]), int(told["last"]), str(told["hash"])
    return -1, -1, ""


class _Walk:
    """One pass over the chain; further passes only where something is wrong, to say what."""

    def __init__(self, folder: Path, check: Check, claims: Sequence[Checkpoint]) -> None:
        self.folder, self.check, self.claims = folder, check, claims
        self.files, self.seq = segments(folder), 0
        self.first = number_of(self.files[0]) if self.files else 0
        self.start = self.seq, self.last = self.beginning()
        self.signed: tuple[int, str, bytes] = (*self.start, b"")
        self.tombstones: dict[int, tuple[int, int, str]] = {}

    def run(self) -> Found:
        written = max((claim.count for claim in self.claims), default=0)
        torn = False
        for place in self.places():
            if torn := self.torn(place):
                break
            line = self.chained(place)
            self.seq, self.last = self.seq + 1, line.hash
            if line.signature:
                self.signed = (self.seq, line.hash, place.data)
            if self.first and b'"what":"purged"' in line.record:
                self.tombstones[self.seq] = _tombstone(line.record)
            if any(each.count == self.seq and each.hash != line.hash for each in self.claims):
                self.require_signatures(self.seq)
                raise TamperedError(
                    "forked" if line.signature else "altered",
                    self.seq - 1,
                    f"{place}: record {self.seq - 1}{_named(line.record)} is "
                    f"{'signed' if line.signature else 'chained'}, but is not the one that a "
                    "checkpoint vouches for",
                )
        count, head, data = self.signed
        if data and not self.genuine(data):
            self.require_signatures(count)
        if count < written:
            raise TamperedError(
                "truncated",
                count,
                f"{self.folder}: record {count} is missing or cut off, of {written} written",
            )
        self.require_tombstone(count)
        purged = self.start[0]
        return Found(count - purged, len(self.files), head, torn or self.seq > count, purged)

    def beginning(self) -> tuple[int, str]:
        """How many lines stood before the first, and the last one's hash, as it claims itself."""
        for place in self.places() if self.first else ():
            with suppress(ValueError):
                line = parse_line(place.data)
                return max(line.seq - place.row + 1, 0), line.prev
        return 0, GENESIS

    def require_tombstone(self, signed: int) -> None:
        """Believe the first line if a signed one says that what stood before it was purged."""
        count, last = self.start
        stones = [stone for end, stone in self.tombstones.items() if end <= signed]
        if self.first and (self.first - 1, count - 1, last) not in stones:
            missing = max((stone[1] + 1 for stone in stones if stone[1] < count), default=0)
            raise TamperedError(
                "removed",
                missing,
                f"{self.folder}: record {missing} is missing, and no tombstone says it was purged",
            )

    def places(self) -> Iterator[_Place]:
        for number, path in enumerate(self.files, self.first):
            if path.name != segment_name(number):
                raise TamperedError(
                    "removed",
                    self.seq,
                    f"{self.folder}: segment {segment_name(number)} with record {self.seq} is gone",
                )
            with path.open("rb") as file:
                read = partial(file.readline, LONGEST_LINE)
                for row, data in enumerate(iter(read, b""), 1):
                    yield _Place(path, row, data)

    def torn(self, place: _Place) -> bool:
        """Whether a write ended here, or is under way: no newline at the very end."""
        cut = place.data[-1:] != b"\n" and len(place.data) < LONGEST_LINE
        return cut and place.path == self.files[-1]

    def chained(self, place: _Place) -> Line:
        try:
            line = parse_line(place.data)
        except ValueError as error:
            self.require_signatures(self.seq)
            raise TamperedError(
                "altered", self.seq, f"{place}: record {self.seq} was changed: {error}"
            ) from error
        if line.seq != self.seq or line.prev != self.last:
            self.require_signatures(self.seq)
            kind, seq, reason = self.misplaced(line)
            raise TamperedError(
                kind,
                seq,
                f"{place}: expected record {self.seq} after {self.last[:12]}…, found record "
                f"{line.seq}{_named(line.record)} after {line.prev[:12]}…: {reason}",
            )
        return line

    def genuine(self, data: bytes) -> bool:
        return self.check(line_statement(data), bytes.fromhex(parse_line(data).signature))

    def require_signatures(self, end: int) -> None:
        """Find records that were changed and hashed anew, by the first signature that fails."""
        start = self.start[0]
        for seq, place in enumerate(self.places(), start):
            if seq >= end:
                return
            line = parse_line(place.data)
            if line.signature and not self.genuine(place.data):
                which = f"record {seq}" if start == seq else f"one of the records {start} to {seq}"
                raise TamperedError(
                    "altered",
                    start,
                    f"{place}: {which}{_named(line.record)} is not signed with this ledger's key",
                )
            if line.signature:
                start = seq + 1

    def misplaced(self, line: Line) -> tuple[str, int, str]:
        """Why a whole line stands where another was to come."""
        if line.seq > self.seq:
            if any(other.seq == self.seq for _, other in self.parsed()):
                return "reordered", self.seq, "records changed places"
            return "removed", self.seq, "records were removed"
        if line.seq < self.seq:
            if any(other.seq == line.seq and other.hash != line.hash for _, other in self.parsed()):
                return "forked", self.seq, f"there are two records {line.seq}, of two histories"
            return "reordered", self.seq, "a record was repeated"
        if not self.continues(line):
            return "altered", self.seq, "it was changed or inserted, and hashed anew"
        if self.signed[0] == self.seq:
            return "forked", self.seq, "both are signed: they are of two histories"
        return "altered", self.seq - 1, "the record before was changed and hashed anew"

    def continues(self, start: Line) -> bool:
        """Whether the lines from this one on lead to a signature that holds."""
        last = ""
        for place, line in self.parsed():
            if line == start or line.prev == last:
                last = line.hash
                if line.signature:
                    return self.genuine(place.data)
        return False

    def parsed(self) -> Iterator[tuple[_Place, Line]]:
        """Every whole line, wherever it stands."""
        for place in self.places():
            with suppress(ValueError):
                yield place, parse_line(place.data)


# --- Ed25519 (RFC 8032), verification only ----------------------------------------------------

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_Point = tuple[int, int, int, int]  # (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z


def _decompress(data: bytes) -> _Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


def _add(p: _Point, q: _Point) -> _Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(factor: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            result = _add(result, point)
        point = _add(point, point)
        factor >>= 1
    return result


_BASE = _decompress((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` was made with the key of `public` (32)."""
    point = _decompress(public)
    s = int.from_bytes(signature[32:], "little")
    if point is None or _BASE is None or len(signature) != 64 or s >= _ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    h = int.from_bytes(digest, "little") % _ORDER
    negative = (_P - point[0], point[1], 1, _P - point[3])
    x, y, z, _ = _add(_times(s, _BASE), _times(h, negative))
    inverse = pow(z, -1, _P)
    encoded = (y * inverse % _P) | ((x * inverse % _P & 1) << 255)
    return encoded.to_bytes(32, "little") == signature[:32]


_SPKI = bytes.fromhex("302a300506032b6570032100")  # what DER puts before an Ed25519 public key


def checker(pem: bytes) -> Check:
    """A `Check` for the public key in this PEM file.

    Raises:
        ValueError: it is not an Ed25519 public key.
    """
    lines = [line.strip() for line in pem.splitlines() if line.strip()]
    if not lines or b"PUBLIC KEY" not in lines[0]:
        raise ValueError("it is not a public key in PEM")
    der = base64.b64decode(b"".join(lines[1:-1]), validate=True)
    if len(der) != 44 or not der.startswith(_SPKI):
        raise ValueError("it is not an Ed25519 public key")
    return partial(verify_ed25519, der[12:])


def main() -> int:
    """Verify, say what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description="Verify a SafeGen ledger.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--public-key", type=Path, help="a copy of public.pem kept apart")
    parser.add_argument("--checkpoint", type=Path, help="an earlier copy of checkpoint.json")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    try:
        check = checker((options.public_key or options.folder / PUBLIC_KEY).read_bytes())
        kept = [read_checkpoint(options.checkpoint, check)] if options.checkpoint else []
        found = walk(options.folder, check, kept)
    except TamperedError as error:
        bad = {"kind": error.kind, "seq": error.seq, "message": str(error)}
        told = json.dumps({"intact": False, "error": bad})
        print(told if options.json else f"tampered: {error}")
        return 1
    except (OSError, ValueError, NoLedgerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    said = f"intact: {found.records} records in {found.segments} segments, last hash "
    good = {"intact": True} | found._asdict()
    print(json.dumps(good) if options.json else said + found.head_hash)
    return 0


if __name__ == "__main__":
    sys.exit(main())
