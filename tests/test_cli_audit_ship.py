"""`safegen audit ship`."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ledgers import ledger, record
from typer.testing import CliRunner
from writers import fill

from safegen.audit.ledger import Ledger
from safegen.cli.audit import app
from safegen.errors import InputError, SinkError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger with two records."""
    return ledger(tmp_path / "ledger", record(0), record(1))


def run(*arguments: str | Path) -> object:
    """What the command printed as JSON, or the exception that it ended with."""
    result = CliRunner().invoke(app, ["ship", *map(str, arguments), "--json"])
    return json.loads(result.stdout) if result.exit_code == 0 else result.exception


def test_once_and_status(folder: Path, tmp_path: Path) -> None:
    """A run tells how many lines the sink holds, and the status the same of every sink."""
    to = f"parquet:{tmp_path}/out"
    found = run(folder, "--to", to)
    with Ledger.open(folder) as opened:
        opened.append(record(2))
    status = run(folder, "--status")

    assert isinstance(found, dict)
    assert isinstance(status, dict)
    assert (found["to"], found["delivered"], found["behind"], found["error"]) == (to, 2, 0, "")
    [told] = status["sinks"]
    assert (told["delivered"], told["behind"]) == (2, 1)


def test_tables_for_people(folder: Path, tmp_path: Path) -> None:
    """Without --json the same is said in words and as a table."""
    shipped = CliRunner().invoke(app, ["ship", str(folder), "--to", f"parquet:{tmp_path}/out"])
    status = CliRunner().invoke(app, ["ship", str(folder), "--status"])

    assert "2 delivered, 0 behind" in shipped.stdout
    assert "delivered" in status.stdout


def test_a_dead_sink_is_an_error_of_once(folder: Path) -> None:
    """It ends with the reason, which the status repeats."""
    assert isinstance(run(folder, "--to", "syslog://127.0.0.1:1"), SinkError)
    status = run(folder, "--status")

    assert isinstance(status, dict)
    assert "takes no messages" in status["sinks"][0]["error"]


@pytest.mark.parametrize(
    "arguments", [[], ["--to", "mysql://u:hunter2@host/db"], ["--to", "parquet:"]]
)
def test_addresses_that_are_none(folder: Path, arguments: list[str]) -> None:
    """They are refused, and not repeated."""
    error = run(folder, *arguments)

    assert isinstance(error, InputError)
    assert "hunter2" not in str(error)


def test_the_address_can_stand_in_the_environment(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where other users of the machine cannot read it."""
    monkeypatch.setenv("SAFEGEN_SHIP_TO", f"parquet:{tmp_path}/out")

    assert isinstance(run(folder), dict)


def ship(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own, delivering to standard output."""
    return subprocess.Popen(
        [sys.executable, "-m", "safegen", "audit", "ship", folder, "--to", "stdout", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_standard_output_holds_records_alone(folder: Path) -> None:
    """The status goes to stderr there, so that a collector reads nothing else."""
    out, err = ship(folder, "--json").communicate()

    assert [json.loads(line)["seq"] for line in out.splitlines()] == [0, 1]
    assert json.loads(err)["delivered"] == 2


def test_errors_are_no_records(folder: Path) -> None:
    """They go to stderr where the records go to stdout, as JSON where that was asked for."""
    path = folder / "00000000.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(b"allowed", b"altered"))
    process = ship(folder, "--json")
    out, err = process.communicate()

    assert process.returncode == 2
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [0]
    assert json.loads(err)["error"]["type"] == "LedgerError"


def test_where_a_run_goes_on_is_told(folder: Path) -> None:
    """Whoever starts a collector anew sees which lines it will not get, in words and as JSON."""
    first, second, third = (
        ship(folder, *more).communicate() for more in (["--json"], [], ["--json"])
    )
    process = ship(folder, "--follow")
    assert process.stderr is not None
    followed = process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate()

    assert json.loads(first[1])["begin"] == 0
    assert second[0] == ""
    assert second[1].strip() == "stdout: 2 delivered, 0 behind; this run went on at line 2"
    assert json.loads(third[1])["begin"] == 2
    assert followed == "stdout: goes on at line 2\n"


def test_following_until_told_to_end(folder: Path) -> None:
    """New records come as they are written; SIGTERM ends it with success, and where it was."""
    process = ship(folder, "--follow")
    assert process.stdout is not None
    seen = [json.loads(process.stdout.readline())["seq"] for _ in range(2)]
    fill(folder, 1)
    seen.append(json.loads(process.stdout.readline())["seq"])
    process.send_signal(signal.SIGTERM)
    rest, err = process.communicate()
    fill(folder, 1)
    again, _ = ship(folder).communicate()

    assert (seen, rest, process.returncode) == ([0, 1, 2], "", 0), err
    assert [json.loads(line)["seq"] for line in again.splitlines()] == [3]


@pytest.mark.parametrize("signals", [1, 2])
def test_a_stuck_sink_does_not_keep_it(folder: Path, signals: int) -> None:
    """A collector that reads no more: a signal ends it after some seconds, a second one at once."""
    fill(folder, 400)  # more than a pipe holds
    process = ship(folder, "--follow")
    assert process.stdout is not None
    process.stdout.readline()
    state = next(iter((folder / "sinks").iterdir()))
    before = time.monotonic()
    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)

    assert process.wait(60) == -signal.SIGTERM
    assert (time.monotonic() - before > 5) == (signals == 1)
    process.communicate()
    out, _ = ship(folder).communicate()
    assert json.loads(out.splitlines()[-1])["seq"] == 401
    assert state.is_dir()
