"""What the ledger bears: records per second while writers keep at it, how long each waits.

    uv run python benchmarks/ledger.py [--quick] [--json] [--folder DIR]

Records are requests of two images, about 2 KB as lines. Every round runs each variant once, in
turn, each on a new ledger, beside a plain file that gets one write and one fsync a record: ratios
are to the plain file of the same round, so a disk that speeds up or slows down changes both. A
latency is that of making the record as its policy says and of `append`, which returns once it is
durable. `verify` reads the ledger of four processes; its ratio is to reading and hashing the same
files with SHA-256. `erase` deletes the key of one user of many, and all traces of it.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from safegen import Check, Context, Decision, Finding, Intervention, Outcome, Reaction, Record
from safegen.audit.ledger import Ledger, verify
from safegen.audit.ledger.format import canonical
from safegen.audit.ledger.masking import masked
from safegen.audit.ledger.subjects import SubjectKeys
from safegen.nouns import FiredRule, ImageRecord, Scores, SteeringReport
from safegen.policy.schema import Recording

PROMPT = "a portrait of a mechanic in a sunlit workshop, oil on canvas, wide shot"
USERS = 500
PLAIN, WIDEST = "a plain file", "4 processes x 8 threads"


class Variant(NamedTuple):
    """Who writes, what is kept of prompts, and for how many users; 0: nobody is named."""

    processes: int
    threads: int
    prompt: str = "hmac"
    users: int = USERS


VARIANTS = {
    "1 thread": Variant(1, 1),
    "32 threads": Variant(1, 32),
    WIDEST: Variant(4, 8),
    f"{WIDEST}, encrypted": Variant(4, 8, "encrypted"),
    f"{WIDEST}, encrypted, a key a record": Variant(4, 8, "encrypted", 0),
}


class Run(NamedTuple):
    """How many records a second, and how long each took (seconds)."""

    rate: float
    latencies: list[float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; by default a new one")
    options = parser.parse_args()
    seconds, rounds = (2, 1) if options.quick else (10, 3)
    runs: dict[str, list[Run]] = {}
    checked: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number in track(
            range(rounds), "measuring", console=Console(stderr=True), transient=True
        ):
            here = Path(folder) / str(number)
            here.mkdir()
            runs.setdefault(PLAIN, []).append(plain_file(here / "plain", seconds))
            for place, (name, variant) in enumerate(VARIANTS.items()):
                runs.setdefault(name, []).append(measure(here / str(place), variant, seconds))
                if name == WIDEST:
                    checked.append(verified(here / str(place)))
        users = 10_000 if options.quick else 100_000
        erased = erasing(Path(folder) / "subjects.sqlite", users)
    report = {
        "variants": {name: told(each, runs[PLAIN]) for name, each in runs.items()},
        "verify": {
            "records_per_second": round(median(rate for rate, _ in checked)),
            "ratio_to_sha256": round(median(ratio for _, ratio in checked), 3),
        },
        "erase": {"users": users, "seconds": round(erased, 3)},
        "record_bytes": len(canonical(record(0, USERS).model_dump(mode="json"))),
        "seconds": seconds,
        "rounds": rounds,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, Python "
        f"{platform.python_version()}, load {os.getloadavg()[0]:.1f}",
    }
    if options.json:
        print(json.dumps(report))
    else:
        _print(report)


def told(runs: list[Run], plain: list[Run]) -> dict[str, float]:
    """Medians over the rounds."""
    ratios = [run.rate / base.rate for run, base in zip(runs, plain, strict=True)]
    latencies = [latency for run in runs for latency in run.latencies]
    return {
        "records_per_second": round(median(run.rate for run in runs)),
        "slowest_round": round(min(run.rate for run in runs)),
        "ratio_to_plain_file": round(median(ratios), 2),
        "p50_ms": round(float(np.percentile(latencies, 50)) * 1000, 2),
        "p99_ms": round(float(np.percentile(latencies, 99)) * 1000, 2),
    }


def record(number: int, users: int) -> Record:
    """A request as a guard records it."""
    steer = Intervention(concept="woman", strength=1.0, start=0.1, stop=0.9)
    finding = Finding(detector="nsfw", detector_digest=_digest("d"), label="nsfw", score=0.02)
    image = ImageRecord(
        seed=number,
        outcome=Outcome.STEERED,
        sha256=_digest("i")[7:],
        interventions=(steer,),
        findings=(finding,),
        detectors={"nsfw": _digest("d")},
    )
    fired = FiredRule(id="fair.gender", action="steer", values={"fact.occupation": True})
    return Record(
        id=str(uuid.uuid4()),
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        outcome=Outcome.STEERED,
        prompt_commitment="",
        context=Context(tenant="acme", user=f"user-{number % users}" if users else "", images=2),
        scores=Scores(values={"violence": 0.0, "nudity": 0.01}, facts={"occupation": True}),
        decision=Decision(
            outcome=Outcome.STEERED,
            rules=(fired,),
            interventions=((steer,), (steer,)),
            checks=(Check(detector="nsfw", label="nsfw", threshold=0.6),),
            ladder=(Reaction(action="regenerate", times=2), Reaction(action="block")),
            policy="default",
            policy_digest=_digest("p"),
        ),
        model_digest=_digest("m"),
        sampler={"steps": 20, "guidance_scale": 5.0},
        steering=SteeringReport(
            status="applied", sites=("mid_block",), vectors={"w": _digest("v")}
        ),
        images=(image, image),
        safegen="benchmark",
    )


def plain_file(path: Path, seconds: float) -> Run:
    """One write and one fsync a record, by one thread: what durability costs at the least."""
    data = canonical(record(0, USERS).model_dump(mode="json")) + b"\n"
    with path.open("wb", buffering=0) as file:

        def append(_: int) -> None:
            file.write(data)
            os.fsync(file.fileno())

        return _sustained(append, 1, seconds, lambda: None)


def measure(folder: Path, variant: Variant, seconds: float) -> Run:
    """All processes and threads append to one ledger for so long."""
    Ledger.open(folder).close()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["safegen.audit.ledger.masking", "numpy", "rich.table"])
    start, queue = context.Barrier(variant.processes), context.Queue()
    workers = [
        context.Process(target=_write, args=(folder, variant, seconds, start, queue, number))
        for number in range(variant.processes)
    ]
    for worker in workers:
        worker.start()
    found: list[Run] = [Run(*queue.get()) for _ in workers]
    for worker in workers:
        worker.join()
    return Run(sum(run.rate for run in found), [each for run in found for each in run.latencies])


def verified(folder: Path) -> tuple[float, float]:
    """Records verified a second, and the ratio of speed to hashing the same files."""
    started = time.perf_counter()
    count = verify(folder).records
    taken = time.perf_counter() - started
    started = time.perf_counter()
    for path in folder.glob("*.jsonl"):
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
    return count / taken, (time.perf_counter() - started) / taken


def erasing(path: Path, users: int) -> float:
    """Seconds that it takes to delete one key of so many."""
    with SubjectKeys.open(path, bytes(32)) as keys:
        keys.database.execute("PRAGMA synchronous = OFF")  # filling it is not what is measured
        made = [keys.use(_digest(str(number)), "2026-01-01").id for number in range(users)]
        keys.database.execute("PRAGMA synchronous = FULL")
        started = time.perf_counter()
        keys.delete(made[:1])
        return time.perf_counter() - started


def _write(
    folder: Path, variant: Variant, seconds: float, start: Barrier, queue: Any, number: int
) -> None:
    recording = Recording.model_validate({"prompt": variant.prompt})
    with Ledger.open(folder) as ledger:

        def append(turn: int) -> None:
            made = record(turn * variant.processes + number, variant.users)
            ledger.append(masked(made, PROMPT, recording, ledger))

        queue.put(tuple(_sustained(append, variant.threads, seconds, start.wait)))


def _sustained(
    append: Callable[[int], None], threads: int, seconds: float, ready: Callable[[], object]
) -> Run:
    """Call it from so many threads for so long, once all processes are ready."""
    latencies: list[list[float]] = [[] for _ in range(threads)]
    append(0)
    ready()
    until = time.perf_counter() + seconds

    def work(number: int) -> None:
        for turn in _forever(number, threads):
            started = time.perf_counter()
            if started > until:
                return
            append(turn)
            latencies[number].append(time.perf_counter() - started)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = time.perf_counter() - began
    return Run(sum(map(len, latencies)) / taken, [each for mine in latencies for each in mine])


def _forever(number: int, threads: int) -> Iterator[int]:
    while True:
        number += threads
        yield number


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _print(report: dict[str, Any]) -> None:
    table = Table("variant", "records/s", "slowest", "x plain file", "p50 ms", "p99 ms")
    for name, row in report["variants"].items():
        table.add_row(name, *(f"{value:g}" for value in row.values()))
    console = Console()
    console.print(table)
    console.print(
        f"verify: {report['verify']['records_per_second']} records/s, "
        f"{report['verify']['ratio_to_sha256']} of the speed of SHA-256 alone; erasing one of "
        f"{report['erase']['users']} users: {report['erase']['seconds']} s; records of "
        f"{report['record_bytes']} bytes; {report['rounds']} rounds of {report['seconds']} s; "
        f"{report['machine']}"
    )


if __name__ == "__main__":
    main()
