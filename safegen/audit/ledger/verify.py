"""Verify a ledger: every record is there, in order, as it was written and signed."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from safegen.audit.ledger.format import (
    CHECKPOINT,
    GENESIS,
    Checkpoint,
    Line,
    decode,
    decode_checkpoint,
    named,
    segment_name,
    segments,
    signed,
)
from safegen.audit.ledger.keys import PUBLIC_KEY, load_public_key
from safegen.errors import LedgerError, LedgerTamperedError
from safegen.nouns import Frozen


class Verification(Frozen):
    """What was verified. `unfinished`: bytes follow of a record whose writing has not ended."""

    records: int
    segments: int
    head_hash: str
    unfinished: bool = False


def verify(
    folder: str | Path,
    *,
    public_key: str | Path | None = None,
    checkpoint: str | Path | None = None,
) -> Verification:
    """Check the whole chain, one line in memory at a time; a writer may go on meanwhile.

    Args:
        folder: the ledger.
        public_key: a copy of `public.pem` kept apart from the ledger; by default the one in the
            folder, which cannot show that someone replaced the folder, key and all.
        checkpoint: an earlier copy of `checkpoint.json`, kept apart; shows that the ledger was
            not set back to a state before it.

    Raises:
        LedgerTamperedError: names the first record that is not what was written.
        LedgerError: this is not a ledger, or one of the files given cannot be read.
    """
    folder = Path(folder)
    own = folder / CHECKPOINT
    if not own.exists() and not segments(folder):
        raise LedgerError(f"{folder} is not a ledger", "give the folder of a ledger")
    key = load_public_key(Path(public_key) if public_key else folder / PUBLIC_KEY)
    # Read before the records, so that a writer at work cannot seem to have lost any.
    claims, damage = [], None
    try:
        claims.append(decode_checkpoint(own.read_bytes(), key))
    except (OSError, ValueError) as error:
        damage = error
    if checkpoint:
        claims.append(_earlier(Path(checkpoint), key))
    try:
        found = _walk(folder, key, claims)
    except OSError as error:
        raise LedgerError(f"cannot read the ledger {folder}: {error}") from error
    if damage is not None:  # told last: a changed record says more
        raise LedgerTamperedError(
            f"after {found.records} whole records: the checkpoint {own} is missing or was "
            f"changed: {damage}",
            found.records,
        )
    return found


def _earlier(path: Path, key: Ed25519PublicKey) -> Checkpoint:
    try:
        return decode_checkpoint(path.read_bytes(), key)
    except (OSError, ValueError) as error:
        raise LedgerError(
            f"{path} is not a checkpoint of this ledger: {error}",
            f"give a copy of the ledger's {CHECKPOINT}",
        ) from error


def _walk(folder: Path, key: Ed25519PublicKey, claims: list[Checkpoint]) -> Verification:
    vouched = max((claim.count for claim in claims), default=0)
    files = segments(folder)
    seq, last, unfinished = 0, GENESIS, False
    for number, path in enumerate(files):
        if path.name != segment_name(number):
            raise LedgerTamperedError(
                f"{folder}: the segment {segment_name(number)} with record {seq} is missing", seq
            )
        with path.open("rb") as file:
            for row, data in enumerate(file, 1):
                if not data.endswith(b"\n") and path == files[-1]:
                    unfinished = True  # unless a checkpoint vouches for it: then cut off
                    break
                line = _checked(data, seq, last, key, f"{path}:{row}")
                seq, last = seq + 1, line.hash
                if any(claim.count == seq and claim.hash != last for claim in claims):
                    raise LedgerTamperedError(
                        f"{path}:{row}: record {seq - 1}{named(line)} is signed, but is not the "
                        "one that a checkpoint vouches for",
                        seq - 1,
                    )
    if seq < vouched:
        raise LedgerTamperedError(
            f"{folder}: record {seq} is missing or cut off: {vouched} records were written, "
            f"{seq} are whole",
            seq,
        )
    return Verification(records=seq, segments=len(files), head_hash=last, unfinished=unfinished)


def _checked(data: bytes, seq: int, last: str, key: Ed25519PublicKey, where: str) -> Line:
    try:
        line = decode(data)
    except ValueError as error:
        raise LedgerTamperedError(f"{where}: record {seq} was changed: {error}", seq) from error
    if line.seq != seq or line.prev != last:
        raise LedgerTamperedError(
            f"{where}: expected record {seq} after {last[:12]}…, found record {line.seq}"
            f"{named(line)} after {str(line.prev)[:12]}…: records were removed, inserted or moved",
            seq,
        )
    if not signed(line.signature, line.hash, key):
        raise LedgerTamperedError(
            f"{where}: record {seq}{named(line)} is not signed with this ledger's key", seq
        )
    return line
