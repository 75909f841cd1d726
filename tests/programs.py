"""Programs that tests run in a process of their own."""

import subprocess
import sys


def printed(program: str) -> str:
    """What a Python program prints, without the white space around it; it must not fail."""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
