"""What is kept in a folder between runs, and the lock under which it is."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from safegen.audit.ledger.files import WriteLock, write_durably
from safegen.errors import LedgerError, OutputError, SinkError
from safegen.nouns import Frozen

_LOCK_SECONDS = 0.2
_FULL = (errno.ENOSPC, errno.EDQUOT)
_Model = TypeVar("_Model", bound=Frozen)


@contextmanager
def alone(folder: Path, told: str) -> Iterator[None]:
    """Be the only shipper on this machine that keeps what it knows in `folder`, made if missing.

    Raises:
        SinkError: another one is at it, or the disk is full; the message names the sink `told`.
        OutputError: the folder cannot be written for another reason.
    """
    lock = WriteLock(folder)
    with ExitStack() as held:
        held.callback(lock.close)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock.held(_LOCK_SECONDS))
        except LedgerError as error:
            raise SinkError(
                f"another shipper delivers to {told} ({error.message})",
                "leave it to that one; this one can follow, and takes over when that one ends",
            ) from error
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield


def save(path: Path, value: Frozen) -> None:
    """Replace the file, durably.

    Raises:
        SinkError: the disk is full.
        OutputError: it cannot be written for another reason.
    """
    try:
        write_durably(path, value.model_dump_json().encode())
    except OSError as error:
        raise _unwritable(path.parent, error) from error


def load(path: Path, kind: type[_Model]) -> _Model | None:
    """What `save` wrote there, or None if it never did.

    Raises:
        OutputError: something else stands there.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path} does not say how far the sink has come: {error}",
            "restore it from a backup; without it, everything is delivered anew",
        ) from error


def _unwritable(folder: Path, error: OSError) -> OutputError | SinkError:
    told = f"cannot keep in {folder} how far the sink has come: {error}"
    if error.errno in _FULL:
        return SinkError(told, "free space on the disk; followers try again by themselves")
    return OutputError(told, "mend the disk or the folder's permissions, or choose another folder")
