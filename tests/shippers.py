"""Shippers in processes of their own, and ends that come to them."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from writers import outcome, script

FOLLOW = """
import sys, threading
from safegen.audit.sinks import Shipper, sink_at
from safegen.audit.sinks.base import Sink
folder, to = sys.argv[1:]
sink = sink_at(to)
sink.most, sink.pause = 40, 0.01  # many small deliveries, so that any moment is in one
Shipper(folder, sink).follow(threading.Event())
"""
WRITE = """
import time
ledger = Ledger.open(folder, segment_bytes=200_000)
until = time.monotonic() + 4
number = 0
while time.monotonic() < until:
    ledger.append(record(number))
    number += 1
"""


def follower(folder: Path, to: str) -> subprocess.Popen[bytes]:
    """A process that follows a ledger."""
    return subprocess.Popen([sys.executable, "-c", FOLLOW, str(folder), to])


def killed_again_and_again(folder: Path, to: str) -> None:
    """Write for some seconds, with shippers that are killed meanwhile at any instant."""
    writer = script(WRITE, folder)
    chance = random.Random(0)
    kills = 0
    while writer.poll() is None or kills < 5:
        shipper = follower(folder, to)
        time.sleep(chance.uniform(0.5, 1.5))  # the first half of which it starts
        shipper.kill()
        shipper.wait()
        kills += 1
    code, _, error = outcome(writer)
    assert code == 0, error


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds; the test's own limit ends what never does."""
    pause = threading.Event()
    for _ in range(3000):
        if holds():
            return
        pause.wait(0.01)
    pytest.fail("it never came about")
