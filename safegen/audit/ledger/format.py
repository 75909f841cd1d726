"""The bytes of a ledger: canonical lines, hashes, signatures, file names.

A line is `{"hash", "prev", "record", "seq", "signature"}` in canonical JSON (RFC 8785), where
hash = SHA-256 over the canonical JSON of `{"prev", "record", "seq"}` and the signature (Ed25519)
is over the hash. A changed byte breaks a hash, a line hashed anew breaks its signature, a line
left out breaks the chain, and a tail cut off is missed by the signed checkpoint.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

GENESIS = "0" * 64
CHECKPOINT = "checkpoint.json"
_LARGEST_INT = 2**53 - 1


@dataclass(frozen=True)
class Line:
    """One record in its chain; hashes and signature are lower-case hex."""

    seq: int
    prev: str
    hash: str
    signature: str
    record: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """What the writer vouches for: `count` records, the last of which has the hash `hash`."""

    count: int
    hash: str


def seal(seq: int, prev: str, record: dict[str, Any], key: Ed25519PrivateKey) -> Line:
    """Hash and sign a record.

    Raises:
        ValueError: the record has no canonical JSON: integers from 2**53, NaN, lone surrogates.
    """
    digest = _hash({"prev": prev, "record": record, "seq": seq})
    return Line(seq, prev, digest, _sign(digest, key), record)


def encode(line: Line) -> bytes:
    """The line's bytes, with its newline."""
    return rfc8785.dumps(vars(line)) + b"\n"


def decode(data: bytes) -> Line:
    """The line in these bytes, with its hash checked; signature and place are not.

    Raises:
        ValueError: they are not a line as `encode` writes it.
    """
    value = _parse(data)
    if value.keys() != Line.__annotations__.keys() or not isinstance(value["record"], dict):
        raise ValueError("it is not a ledger line")
    line = Line(**value)
    if line.hash != _hash({"prev": line.prev, "record": line.record, "seq": line.seq}):
        raise ValueError(f"it does not match its hash{named(line)}")
    return line


def named(line: Line) -> str:
    """The record's id, for messages."""
    return f" (record id {line.record.get('id')})"


def signed(signature: str, digest: str, key: Ed25519PublicKey) -> bool:
    """Whether `signature` (hex) over `digest` (hex) was made with the private half of `key`."""
    try:
        raw = bytes.fromhex(signature)
        key.verify(raw, bytes.fromhex(digest))
    except (InvalidSignature, TypeError, ValueError):
        return False
    return raw.hex() == signature  # fromhex lets capitals pass: a changed byte like any other


def encode_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> bytes:
    """The signed checkpoint's bytes."""
    claim = vars(checkpoint)
    return rfc8785.dumps(claim | {"signature": _sign(_hash(claim), key)}) + b"\n"


def decode_checkpoint(data: bytes, key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint in these bytes.

    Raises:
        ValueError: they are damaged or not signed with this key.
    """
    value = _parse(data)
    if value.keys() != {"count", "hash", "signature"}:
        raise ValueError("it is not a ledger checkpoint")
    claim = {"count": value["count"], "hash": value["hash"]}
    if not signed(value["signature"], _hash(claim), key):
        raise ValueError("it is not signed with this ledger's key")
    return Checkpoint(**claim)


def segments(folder: Path) -> list[Path]:
    """The segment files, in order."""
    return sorted(folder.glob("[0-9]*.jsonl"))


def segment_name(number: int) -> str:
    """File name of the segment with this number, counted from 0."""
    return f"{number:08d}.jsonl"


def _parse(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data, parse_int=_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    if rfc8785.dumps(value) + b"\n" != data:
        raise ValueError("it is not canonical JSON on a line of its own")
    return value


def _number(text: str) -> int | float:
    """Canonical JSON writes the float 1e16 with the digits of an integer, which it refuses."""
    value = int(text)
    return value if abs(value) <= _LARGEST_INT else float(value)


def _hash(value: dict[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


def _sign(digest: str, key: Ed25519PrivateKey) -> str:
    return key.sign(bytes.fromhex(digest)).hex()
