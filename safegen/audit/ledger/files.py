"""Durable files, and the lock under which a ledger is written. POSIX only (`flock`)."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from safegen.errors import LedgerError
from safegen.files import hand_over, open_or_make

_HOLDER = 128  # bytes of the lock's file, which says who holds it
_POLL = 0.0002  # seconds; a commit takes milliseconds


@contextmanager
def replacing(path: Path, mode: int) -> Iterator[BinaryIO]:
    """Replace a file so that a crash leaves the old content or the new, never a part.

    A process killed meanwhile leaves a file that ends in `.part`, which the next call replaces.

    Yields:
        What to write the new content to; it stays if the block ends without an error.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)  # its mode may be another one
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            hand_over(file.fileno(), path.parent)
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):  # what failed is told first
            part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_durably(path: Path, data: bytes, *, mode: int = 0o640) -> None:
    """Replace a file's content with `data`, as `replacing` does.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    with replacing(path, mode) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Make new and renamed files of a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class WriteLock:
    """Lets one writer of all processes and threads write at a time; ends with the process.

    Whoever can open its files, even to read, can keep all writers waiting: their mode is 0600.
    Who waits for the lock holds the lock of the queue meanwhile, so that a busy writer that has
    just given it back cannot take it again before those that wait.
    """

    def __init__(self, folder: Path, name: str = "lock") -> None:
        self._folder, self._name = folder, name
        self._files: list[int] = []

    def held(self, timeout: float) -> "_Held":
        """Hold the lock for a while: `with lock.held(30):`.

        Raises:
            LedgerError: another writer has held it for `timeout` seconds; says which.
            OSError: the lock's files cannot be opened.
        """
        return _Held(self, timeout)

    def take(self, timeout: float) -> None:
        """Wait for the lock; for `held`, which says what can go wrong."""
        if not self._files:
            self._files = self._opened()
        lock, queue = self._files
        until = time.monotonic() + timeout
        try:
            self._take(queue, until)
            self._take(lock, until)
        finally:
            fcntl.flock(queue, fcntl.LOCK_UN)
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        with suppress(OSError):  # a full disk: what is done under the lock says so, if it matters
            os.pwrite(lock, holder.ljust(_HOLDER).encode(), 0)

    def give_back(self) -> None:
        """Let others write, if this one was held."""
        for file in self._files:
            fcntl.flock(file, fcntl.LOCK_UN)

    def _opened(self) -> list[int]:
        paths = (self._folder / name for name in (self._name, f"{self._name}.queue"))
        files = [open_or_make(path, 0o600) for path in paths]
        for file in files:
            with suppress(OSError):  # another's, or a disk that knows no modes
                os.fchmod(file, 0o600)  # those of a copied folder may be open to others
        return files

    def close(self) -> None:
        """Close the files; in a forked child this leaves the parent's lock alone."""
        while self._files:
            os.close(self._files.pop())

    def _take(self, file: int, until: float) -> None:
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise LedgerError(
                        f"the ledger {self._folder} is kept locked by {self._holder()}",
                        "see whether that process is stopped or its disk hangs; ending it is safe",
                    ) from error
                time.sleep(_POLL)

    def _holder(self) -> str:
        """Who has the lock: as the system says, else as the last one who took it wrote down."""
        for file in self._files:
            if process := _process_holding(file):
                return f"process {process} on {socket.gethostname()}"
        return os.pread(self._files[0], _HOLDER, 0).decode(errors="replace").strip()


def _process_holding(file: int) -> int:
    """The process that has the `flock` on an open file; 0 where no one says: only Linux tells."""
    found = os.fstat(file)
    device, inode = found.st_dev, found.st_ino
    name = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    with suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text().splitlines():
            _, kind, *_, process, of, _, _ = line.split()  # "->" stands in those of who waits
            if (kind, of) == ("FLOCK", name):
                return int(process)
    return 0


class _Held:
    """A lock while it is held. No generator: one that was interrupted would end at any time."""

    def __init__(self, lock: WriteLock, timeout: float) -> None:
        self._lock, self._timeout = lock, timeout

    def __enter__(self) -> None:
        try:
            self._lock.take(self._timeout)
        except BaseException:
            self._lock.give_back()
            raise

    def __exit__(self, *_: object) -> None:
        self._lock.give_back()
