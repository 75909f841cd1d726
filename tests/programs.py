"""Programs that tests run in a process of their own."""

import subprocess
import sys
from pathlib import Path


def printed(program: str) -> str:
    """What a Python program prints, without the white space around it; it must not fail."""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


FORKED = f"""
import os, signal, sys, traceback

sys.path.append({str(Path(__file__).parent)!r})

def forked(work, meanwhile=lambda: None):
    "The exit code of a fork of this process that does `work`: 0, or why not; -14: it hung."
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(400)
        try:
            work()
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    meanwhile()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

signal.alarm(800)
"""
"""What programs begin with that fork: nothing in them hangs for ever."""
