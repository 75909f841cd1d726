"""Ledgers to test with: small records, and other processes that write them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services import needs

from safegen.audit.ledger import Ledger
from safegen.nouns import Context, Outcome, Record, Scores

HEADER = """
import os, random, resource, signal, sys, threading, time
from safegen.audit.ledger import Ledger, entries, verify
from safegen.audit.ledger.format import canonical
from safegen.errors import LedgerError
from safegen.nouns import Context, Event, Outcome, Record, Scores

def record(number):
    return Record(id=f"r{number}", time="", outcome=Outcome.ALLOWED, prompt_commitment="",
                  context=Context(), scores=Scores(), safegen="test")

def limit_file(folder, more):  # the kernel cuts a write off there
    size = os.path.getsize(os.path.join(folder, "00000000.jsonl"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + more, resource.RLIM_INFINITY))

def killed_at_work(work, longest):  # the child says by a byte that it is at work
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        work(into)
        os._exit(0)
    os.close(into)
    os.read(out, 1)
    time.sleep(random.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(out)

folder = sys.argv[1]
"""


def record(number: int, **changes: object) -> Record:
    """A small record whose id says its number."""
    plain = Record(
        id=f"r{number}",
        time="2026-01-01T00:00:00.000+00:00",
        outcome=Outcome.ALLOWED,
        prompt_commitment="hmac-sha256:00",
        context=Context(),
        scores=Scores(),
        safegen="test",
    )
    return plain.model_copy(update=changes)


def fill(folder: Path, count: int, segment_bytes: int = 2**20) -> None:
    """Write `count` records and close."""
    with Ledger.open(folder, segment_bytes=segment_bytes) as ledger:
        for number in range(count):
            ledger.append(record(number))


def script(body: str, folder: Path) -> subprocess.Popen[str]:
    """Start another process that runs `body` on the ledger in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-c", HEADER + body, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and output of a process, once it ended."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    """A file system that is soon full."""
    disk = folder / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    needs(done.returncode == 0, "a small file system", "run as root where mount is allowed")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
