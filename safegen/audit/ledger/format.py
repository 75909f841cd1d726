"""The bytes that a writer makes: lines, checkpoints. `standalone` says what they mean, and checks.

Each line is hashed; the last one of a commit is signed too, and vouches for all before it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from safegen.audit.ledger import standalone
from safegen.audit.ledger.standalone import (
    BODY,
    CHECKPOINT,
    GENESIS,
    LINE_STATEMENT,
    LONGEST_LINE,
    Check,
    Checkpoint,
    checkpoint_bytes,
    checkpoint_statement,
    number_of,
    parse_line,
    segment_name,
    segments,
)

__all__ = [
    "CHECKPOINT",
    "GENESIS",
    "VERIFY",
    "Checkpoint",
    "Line",
    "TooLongError",
    "canonical",
    "chain",
    "check_with",
    "decode",
    "encode_checkpoint",
    "link",
    "number_of",
    "segment_name",
    "segments",
    "unpacked",
]  # fmt: skip
VERIFY = "run: safegen audit verify"  # what to do where a ledger is not as it should be
_PREV = slice(BODY + len('"prev":"'), BODY + len('"prev":"') + 64)
_SIGNED = re.compile(rb',"signature":"([0-9a-f]{128})"\}\n')
_SIGNED_BYTES = len(',"signature":""}\n') + 128
_LARGEST_INT = 2**53 - 1
_DUMPS = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_ROOM = 1024  # of a line, for all but the record


class TooLongError(ValueError):
    """A record that no line holds."""


@dataclass(frozen=True)
class Line:
    """One record in its chain; hashes and signature are lower-case hex, most have no signature."""

    seq: int
    prev: str
    hash: str
    signature: str
    record: dict[str, Any]


def canonical(record: dict[str, Any]) -> bytes:
    """The record's canonical JSON.

    Raises:
        TooLongError: it is too long.
        ValueError: it has none (integers from 2**53, NaN, lone surrogates).
    """
    try:
        data = _DUMPS(_plain(record)).encode()
    except _UnusualError:
        data = rfc8785.dumps(record)
    if len(data) > LONGEST_LINE - _ROOM:
        raise TooLongError(f"{len(data)} bytes, the longest may have {LONGEST_LINE - _ROOM}")
    return data


class _UnusualError(ValueError):
    """Something that `json` does not write in canonical form."""


def _plain(value: Any) -> Any:
    """The value so that `json`, which is several times as fast as rfc8785, writes the same bytes.

    Raises:
        _UnusualError: there is no such value.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is dict and all(map(str.isascii, value)):  # others are sorted in another way
        return {key: _plain(each) for key, each in value.items()}
    if kind is list:
        return [_plain(each) for each in value]
    if kind is float and value.is_integer():
        value, kind = int(value), int
    if kind is int and abs(value) <= _LARGEST_INT:
        return value
    if kind is float and 1e-4 <= abs(value) < 1e15:  # written without an exponent
        return value
    raise _UnusualError


def chain(
    seq: int, prev: str, records: Sequence[bytes], key: Ed25519PrivateKey
) -> tuple[list[str], bytes]:
    """One commit: the hashes of these records from `seq` on, and the bytes of their lines."""
    hashes: list[str] = []
    lines: list[bytes] = []
    for number, record in enumerate(records, seq):
        body = b'"prev":"%s","record":%s,"seq":%d' % (prev.encode(), record, number)
        if len(lines) == len(records) - 1:
            signature = key.sign(LINE_STATEMENT + sha256(b"{%s}" % body).digest())
            body += b',"signature":"%s"' % signature.hex().encode()
        prev = sha256(b"{%s}" % body).hexdigest()
        hashes.append(prev)
        lines.append(b'{"hash":"%s",%s}\n' % (prev.encode(), body))
    return hashes, b"".join(lines)


def link(data: bytes) -> tuple[str, str, bytes]:
    """What ties a line to others: the hash before it as it says, its own, and its signature if any.

    Says nothing of whether these bytes are a line, which those are that are signed, and those that
    a signed one follows, from one to the next.
    """
    digest = sha256(b"{" + data[BODY:-1]).hexdigest()
    signed = _SIGNED.fullmatch(data, max(len(data) - _SIGNED_BYTES, 0))
    signature = bytes.fromhex(signed[1].decode()) if signed else b""
    return data[_PREV].decode("ascii", "replace"), digest, signature


def decode(data: bytes) -> Line:
    """The line in these bytes, with its hash checked; signature and place are not.

    Raises:
        ValueError: they are not a line as it was written.
    """
    return unpacked(parse_line(data))


def unpacked(line: standalone.Line) -> Line:
    """The line with its record as values and no longer as bytes.

    Raises:
        ValueError: it is no JSON that can be read.
    """
    try:
        record = json.loads(line.record, parse_int=_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return Line(line.seq, line.prev, line.hash, line.signature, record)


def encode_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> bytes:
    """The signed checkpoint's bytes."""
    return checkpoint_bytes(checkpoint, key.sign(checkpoint_statement(checkpoint)))


def check_with(key: Ed25519PublicKey) -> Check:
    """What verifies signatures under this key."""

    def check(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return check


def _number(text: str) -> int | float:
    """Canonical JSON writes the float 1e16 with the digits of an integer, which it refuses."""
    value = int(text)
    return value if abs(value) <= _LARGEST_INT else float(value)
