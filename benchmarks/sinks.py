"""How fast each sink takes records, and what a shipper beside it costs the writer of a ledger.

    python benchmarks/sinks.py [--quick] [--json] [--postgres URL]

The first table is records a second, from a ledger on disk into each sink: PostgreSQL at the URL
given, and receivers on this machine that read and throw away. The second is the writer's records a
second with a shipper that follows in another process, over those without one, in turns of the same
run; `dead` is a sink that nobody answers at, and `none` is without one once more: how far that is
from 1 is how far the others may be by chance.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from safegen.audit.ledger import Ledger
from safegen.audit.ledger.format import canonical
from safegen.audit.sinks import Shipper, sink_at
from safegen.audit.sinks.stdout import Stdout
from safegen.nouns import (
    Check,
    Context,
    Decision,
    Finding,
    FiredRule,
    ImageRecord,
    Outcome,
    Record,
    Scores,
)

_DEAD = "syslog://127.0.0.1:1"
_COLLECTOR = """
import socketserver, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Syslog(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(65536):
            pass

class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

kind = {"syslog": (socketserver.TCPServer, Syslog), "otel": (ThreadingHTTPServer, Collector)}
server, handler = kind[sys.argv[1]]
with server(("127.0.0.1", 0), handler) as listening:
    print(listening.server_address[1], flush=True)
    listening.serve_forever()
"""
_FOLLOW = """
import sys, threading
from safegen.audit.sinks import Shipper, sink_at
sink = sink_at(sys.argv[2])
sink.pause = min(sink.pause, 0.5)
shipper = Shipper(sys.argv[1], sink)
print("follows", flush=True)
shipper.follow(threading.Event())
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer records, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--postgres", default="", help="URL of an empty database")
    options = parser.parse_args()
    count, rounds, seconds = (1_000, 3, 1.0) if options.quick else (20_000, 9, 3.0)
    with tempfile.TemporaryDirectory() as folder:
        speeds = sink_speeds(Path(folder), count, options.postgres)
        costs = writer_costs(Path(folder), rounds, seconds, options.postgres)
    report = {
        "records_per_second": speeds,
        "writer_with_shipper": costs,
        "records": count,
        "rounds": rounds,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    if options.json:
        print(json.dumps(report))
        return
    for title, told in (("records/s", speeds), ("appends with a shipper / without", costs)):
        table = Table("sink", title)
        for name, value in told.items():
            table.add_row(name, "not measured" if value is None else f"{value:g}")
        Console().print(table)


def record(number: int) -> Record:
    """A request for four images at which two detectors looked."""
    rule = FiredRule(id="fair.gender", action="steer", values={"violence": 0.1})
    findings = tuple(
        Finding(detector=name, detector_digest=f"sha256:{'0' * 64}", label=label, score=0.125)
        for name, label in (("nsfw", "nsfw"), ("clip", "weapon"), ("clip", "smoking"))
    )
    return Record(
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time="2026-01-01T00:00:00.000+00:00",
        outcome=Outcome.STEERED,
        prompt_commitment=f"hmac-sha256:{'0' * 64}",
        context=Context(tenant=f"tenant {number % 7}", images=4, seed=number),
        scores=Scores(values={"violence": 0.1, "nudity": 0.0, "hate": 0.0}),
        decision=Decision(
            outcome=Outcome.STEERED,
            rules=(rule,),
            checks=(Check(detector="nsfw", label="nsfw", threshold=0.5),),
            policy="default",
            policy_digest=f"sha256:{'0' * 64}",
        ),
        images=tuple(
            ImageRecord(seed=seed, outcome=Outcome.STEERED, sha256="0" * 64, findings=findings)
            for seed in range(4)
        ),
        safegen="benchmark",
    )


def sink_speeds(folder: Path, count: int, postgres: str) -> dict[str, float | None]:
    """Records a second into each sink, from the first to the last."""
    source = folder / "source"
    with Ledger.open(source) as ledger:
        for start in range(0, count, 500):
            batch = [record(number).model_dump(mode="json") for number in range(start, start + 500)]
            ledger._write([canonical(each) for each in batch])  # noqa: SLF001 - not what is timed

    def speed(to: str) -> float:
        with Path(os.devnull).open("wb") as nothing:
            sink = Stdout(nothing.fileno()) if to == "stdout" else sink_at(to)
            started = time.perf_counter()
            Shipper(source, sink).once()
            return round(count / (time.perf_counter() - started), 1)

    found: dict[str, float | None] = {"stdout": speed("stdout")}
    found["parquet"] = speed(f"parquet:{folder}/parquet")
    with receiver("syslog") as port:
        found["syslog"] = speed(f"syslog://127.0.0.1:{port}")
    with receiver("otel") as port:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
        found["otel"] = speed("otel")
    found["postgresql"] = speed(postgres) if postgres else None
    return found


def writer_costs(
    folder: Path, rounds: int, seconds: float, postgres: str
) -> dict[str, float | None]:
    """The writer's speed with a follower, over that without one: medians over the rounds."""
    sinks = {"none": "", "dead": _DEAD, "parquet": "parquet:{}", "postgresql": postgres}
    measured = [name for name, to in sinks.items() if to or name == "none"]
    ratios: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(rounds):
        alone = appends(folder / f"{number}-alone", seconds)
        for name, each in ratios.items():
            written = folder / f"{number}-{name}"
            to = sinks[name].format(f"{written}-files")
            each.append(appends(written, seconds, to) / alone)
    return {
        name: round(statistics.median(ratios[name]), 3) if name in ratios else None
        for name in sinks
    }


def appends(folder: Path, seconds: float, follow: str = "") -> float:
    """Records a second into a new ledger, by one thread, each durable before the next."""
    with Ledger.open(folder) as ledger:
        ledger.append(record(0))
        with follower(folder, follow) if follow else nullcontext():
            started = time.perf_counter()
            number = 0
            while time.perf_counter() - started < seconds:
                ledger.append(record(number))
                number += 1
            return number / (time.perf_counter() - started)


@contextmanager
def follower(ledger: Path, to: str) -> Iterator[None]:
    """A shipper in a process of its own."""
    with started(_FOLLOW, str(ledger), to):
        yield


@contextmanager
def receiver(kind: str) -> Iterator[str]:
    """The port of a process that takes everything."""
    with started(_COLLECTOR, kind) as port:
        yield port


@contextmanager
def started(program: str, *arguments: str) -> Iterator[str]:
    """A process, once it has said its first line."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main()
