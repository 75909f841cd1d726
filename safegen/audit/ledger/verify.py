"""Verify a ledger: every record is there, in order, as it was written and signed."""

from pathlib import Path

from safegen.audit.ledger.format import check_with
from safegen.audit.ledger.keys import load_public_key
from safegen.audit.ledger.standalone import (
    CHECKPOINT,
    PUBLIC_KEY,
    Check,
    Checkpoint,
    NoLedgerError,
    TamperedError,
    read_checkpoint,
    segments,
    walk,
)
from safegen.errors import LedgerError, LedgerTamperedError, Tampering
from safegen.nouns import Frozen


class Verification(Frozen):
    """What was verified. `unfinished`: bytes follow that no signature vouches for.

    They are being written now, or a crash cut them off; the next writer sets them aside. `purged`
    records stood before the first one that is there, as a signed tombstone says.
    """

    records: int
    segments: int
    head_hash: str
    unfinished: bool = False
    purged: int = 0


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
        LedgerTamperedError: names the first record that is not what was written, and how.
        LedgerError: this is not a ledger, or one of the files given cannot be read.
    """
    folder = Path(folder)
    try:
        if not (folder / CHECKPOINT).exists() and not segments(folder):
            raise NoLedgerError(f"{folder} is not a ledger")
        check = check_with(load_public_key(Path(public_key) if public_key else folder / PUBLIC_KEY))
        kept = [_earlier(Path(checkpoint), check)] if checkpoint else []
        return Verification(**walk(folder, check, kept)._asdict())
    except TamperedError as error:
        raise LedgerTamperedError(str(error), error.seq, kind=Tampering(error.kind)) from error
    except NoLedgerError as error:
        raise LedgerError(str(error), "give the folder of a ledger") from error
    except OSError as error:
        raise LedgerError(f"cannot read the ledger {folder}: {error}") from error


def _earlier(path: Path, check: Check) -> Checkpoint:
    try:
        return read_checkpoint(path, check)
    except (OSError, ValueError) as error:
        raise LedgerError(
            f"{path} is not a checkpoint of this ledger: {error}",
            f"give a copy of the ledger's {CHECKPOINT}",
        ) from error
