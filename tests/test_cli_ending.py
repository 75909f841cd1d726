"""How commands end that nobody reads, that find no place for their results, or are told to end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ledgers import ledger, record
from shippers import until

COMMANDS = [
    ["audit", "verify", "LEDGER"],
    ["audit", "verify", "LEDGER", "--json"],
    ["audit", "query", "LEDGER"],
    ["policy", "show", "no-such-pack", "--json"],
    ["policy", "schema"],
    ["--help"],
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger with two records."""
    return ledger(tmp_path / "ledger", record(0), record(1))


def start(arguments: list[str], folder: Path, **streams: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    given = [str(folder) if each == "LEDGER" else each for each in arguments]
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "safegen", *given],
        text=True,
        # The tests may run under nohup, of which the command would go on.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509
        **streams,
    )


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_reader_that_left(folder: Path, arguments: list[str]) -> None:
    """Ends by SIGPIPE, as other programs do: neither an answer nor a bug."""
    reads, writes = os.pipe()
    os.close(reads)
    process = start(arguments, folder, stdout=writes, stderr=subprocess.PIPE)
    os.close(writes)
    _, told = process.communicate(timeout=100)

    assert process.returncode == -signal.SIGPIPE
    assert "rror" not in told


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_full_disk(folder: Path, arguments: list[str]) -> None:
    """Is an error of exit code 2, told in one line."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        process = start(arguments, folder, stdout=full, stderr=subprocess.PIPE)
        _, told = process.communicate(timeout=100)

    assert process.returncode == 2
    line = told.splitlines()[-1]
    assert "Traceback" not in told
    assert line.startswith("error: cannot write the results:")
    assert "No space left" in line


def test_what_an_encoding_cannot_say_is_escaped(folder: Path) -> None:
    """Tables stay readable and JSON stays JSON, where people's or machines' streams are ASCII."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    prompt = "un café \u2192 \U0001f52a"
    told = []
    for arguments in (["audit", "query", "LEDGER"], ["policy", "explain", "art", prompt, "--json"]):
        process = start(arguments, folder, stdout=-1, stderr=-1, env=environment)
        told.append(process.communicate(timeout=100))
        assert process.returncode == 0, told[-1]
    words = json.loads(told[1][0])["words"]

    assert told[0][0].isascii()
    assert "\U0001f52a" in [word["text"] for word in words]


def test_closed_streams_change_no_answer(folder: Path) -> None:
    """Who wants the exit code alone may close both streams."""
    (folder / "00000000.jsonl").write_text("")
    for closed in (">&-", "2>&-", ">&- 2>&-", "2>/dev/full"):
        command = f"{sys.executable} -m safegen audit verify {folder} {closed}"
        done = subprocess.run(["sh", "-c", command], check=False, stdout=subprocess.DEVNULL)

        assert (closed, done.returncode) == (closed, 1)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_an_export_that_is_told_to_end_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    """Its half-made pack, a copy of the ledger, is gone; the process died of the signal."""
    folder = ledger(tmp_path / "ledger", *map(record, range(300)))
    (tmp_path / "out").mkdir()
    out = tmp_path / "out/e.zip"

    def ended() -> int:
        process = start(
            ["audit", "export", "LEDGER", "--out", str(out)],
            folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: out.exists() or any(out.parent.glob(".e.zip.*/evidence/ledger")))
        process.send_signal(how)
        return process.wait(100)

    for _ in range(20):  # it may be done before it hears the signal
        out.unlink(missing_ok=True)
        if (code := ended()) != 0:
            break
    assert code == -how
    assert not list(out.parent.iterdir())


def test_a_signal_that_is_ignored_stays_so(folder: Path) -> None:
    """As under nohup."""
    program = (
        "import signal, sys, os\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from safegen.cli.ending import ending\n"
        "with ending():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    print('goes on')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)

    assert done.stdout == b"goes on\n"


def test_in_a_thread_signals_stay_as_they_are() -> None:
    """A program may run a command in a thread, and keeps its own handlers."""
    program = (
        "import signal, sys, threading\n"
        "from safegen.cli.main import main\n"
        "sys.argv = ['safegen', 'policy', 'schema']\n"
        "before = signal.getsignal(signal.SIGTERM)\n"
        "thread = threading.Thread(target=main)\n"
        "thread.start(); thread.join()\n"
        "assert signal.getsignal(signal.SIGTERM) is before\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)

    assert json.loads(done.stdout)
