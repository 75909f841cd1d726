"""Durable files and the lock that keeps a ledger to one writer. POSIX only (`flock`)."""

import fcntl
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from safegen.errors import LedgerError


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file so that a crash leaves the old content or the new, never a part.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)  # its mode may be another one
    with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make new and renamed files of a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock(path: Path) -> IO[str]:
    """Take the lock; closing the file, or the end of the process, gives it back.

    Raises:
        LedgerError: another holds it; says who.
        OSError: the file cannot be written.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read() or "a process that just started"
        file.close()
        raise LedgerError(
            f"the ledger {path.parent} is open for writing by {holder}",
            "close that writer, or give each process a folder of its own",
        ) from error
    file.truncate(0)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
    file.flush()
    return file


def unlock(file: IO[str]) -> None:
    """Give the lock back, even if a forked child still holds the same file."""
    fcntl.flock(file, fcntl.LOCK_UN)
    file.close()
