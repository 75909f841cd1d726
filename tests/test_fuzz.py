"""`scripts/fuzz.py` runs: a few inputs of each kind here, as many as one has time for by hand."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts/fuzz.py"
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="needs atheris, which has wheels for Linux on x86-64 only",
)


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize("target", ["policy", "prompt"])
def test_nothing_crashes_or_stalls(target: str, tmp_path: Path) -> None:
    """Some hundred inputs that the fuzzer makes up end in an answer or an error of SafeGen."""
    done = fuzz(target, "--runs", "300", "--folder", str(tmp_path))

    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done 300 runs" in done.stderr


def test_what_was_found_can_be_run_again(tmp_path: Path) -> None:
    """Files that are named are run and nothing else is."""
    (tmp_path / "found").write_bytes(b"checks: [knife]\xff")
    done = fuzz("policy", "--folder", str(tmp_path), str(tmp_path / "found"))

    assert done.returncode == 0
    assert "Executed" in done.stderr


def test_the_memory_of_who_started_it_does_not_count(tmp_path: Path) -> None:
    """A large process, such as a test run, can start it without using up its limit."""
    command = [sys.executable, str(SCRIPT), "prompt", "--runs", "5", "--folder", str(tmp_path)]
    large = "import subprocess, sys; held = b'x' * (600 << 20); "
    large += "sys.exit(subprocess.run(sys.argv[1:], check=False).returncode)"
    done = subprocess.run(
        [sys.executable, "-c", large, *command], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 < max(map(int, re.findall(r"rss: (\d+)Mb", done.stderr))) < 500
