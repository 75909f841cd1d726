"""What a page of the review site costs: milliseconds, as ratios to a ledger of 1,000 records.

    uv run python benchmarks/review.py [--quick] [--json] [--records N]

Both ledgers are made alike: half a year of requests of 200 tenants under 24 rules, a tenth of which
was stopped; reviewers judged nine in ten of those. Every round asks for every page of both once, in
turn, so a machine that speeds up or slows down changes both. A time is that of the whole request in
the application: who asks, the index brought up to date, the records read from the ledger and
checked, the page written. The ledgers are chained and signed like any other, but without waiting
for the disk after each line.
"""

import argparse
import json
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from rich.console import Console
from rich.progress import track
from rich.table import Table

from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.ledger.format import (
    CHECKPOINT,
    GENESIS,
    Checkpoint,
    canonical,
    chain,
    encode_checkpoint,
    segment_name,
)
from safegen.audit.ledger.keys import PRIVATE_KEY, load_private_key
from safegen.audit.review.accounts import Accounts, Role
from safegen.audit.review.acts import Acts
from safegen.audit.review.app import create_app
from safegen.audit.review.site import Site
from safegen.nouns import (
    Action,
    Check,
    Context,
    Decision,
    Event,
    Finding,
    FiredRule,
    ImageRecord,
    Outcome,
    Record,
    Scores,
)

_SMALL = 1_000
_WORDS = "four quiet paper boats"
_COMMIT, _SEGMENT = 100, 50_000  # lines
_SPAN = timedelta(days=182)
# In time order a record lies in the middle of the ledger, so that nothing is found for being new.
PAGES = {
    "queue": "/",
    "queue, escalated": "/?state=escalated",
    "timeline": "/timeline",
    "timeline, outcome": "/timeline?outcome=blocked",
    "timeline, rule": "/timeline?rule=rule.3",
    "timeline, score": "/timeline?score=violence>=0.9",
    "timeline, tenant and outcome": "/timeline?tenant=tenant-7&outcome=review",
    "timeline, rule and score": "/timeline?rule=rule.3&score=violence<0.05",
    "timeline, overturned": "/timeline?state=overturned",
    "record": "/records/{middle}",
    "trends": "/trends?since=26w",
    "activity": "/activity",
    "activity, one person": "/activity?actor=reviewer-3&what=overturned",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="10,000 records, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--records", type=int, default=1_000_000, help="of the large ledger")
    options = parser.parse_args()
    large, rounds = (10_000, 5) if options.quick else (options.records, 15)
    with tempfile.TemporaryDirectory() as folder:
        sites = {count: Path(folder) / str(count) for count in (_SMALL, large)}
        index_seconds = {count: make_ledger(site, count) for count, site in sites.items()}
        seconds = measure(sites, rounds)
    report = {
        "pages": {page: told(times[_SMALL], times[large]) for page, times in seconds.items()},
        "slowest_ms": round(max(max(times[large]) for times in seconds.values()) * 1000, 1),
        "index_seconds": round(index_seconds[large], 1),
        "records": large,
        "records_small": _SMALL,
        "rounds": rounds,
        "machine": platform.machine(),
    }
    if options.json:
        print(json.dumps(report))
        return
    table = Table("page", "ms", "slowest ms", f"ms of {_SMALL:,}", "ratio", title=f"{large:,}")
    for name, page in report["pages"].items():  # type: ignore[union-attr, str-bytes-safe]
        table.add_row(name, *(f"{value:.1f}" for value in page.values()))
    Console().print(table)
    Console().print(f"indexed in {report['index_seconds']} s")


def make_ledger(folder: Path, count: int) -> float:
    """A ledger of so many requests and what reviewers did, and an account; indexed in … seconds."""
    with Ledger.open(folder):
        pass
    key = load_private_key(folder / PRIVATE_KEY)
    write_lines(folder, key, entries(count), count)
    with Accounts.open(folder) as accounts:
        accounts.add("ann", Role.ADMIN, _WORDS)
    started = time.perf_counter()
    with Index.open(folder) as index:
        index.update()
    return time.perf_counter() - started


def write_lines(
    folder: Path, key: Ed25519PrivateKey, found: Iterator[Record | Event], count: int
) -> None:
    """Chain the entries in commits and segments, as `Ledger` does but for the wait for the disk."""
    last, lines = GENESIS, 0
    shown = track(found, f"{count:,} records", count, console=Console(stderr=True), transient=True)
    waiting = (canonical(entry.model_dump(mode="json")) for entry in shown)
    while commit := list(islice(waiting, _COMMIT)):
        hashes, data = chain(lines, last, commit, key)
        with (folder / segment_name(lines // _SEGMENT)).open("ab") as file:
            file.write(data)
        last, lines = hashes[-1], lines + len(commit)
    (folder / CHECKPOINT).write_bytes(encode_checkpoint(Checkpoint(lines, last), key))


def entries(count: int) -> Iterator[Record | Event]:
    """Requests over half a year until now, and after each tenth of them the verdicts on it."""
    rng = random.Random(0)
    start = datetime.now(UTC) - _SPAN
    waiting: list[str] = []
    for number in range(count):
        made = start + _SPAN * number / count
        one = request(rng, number, made)
        yield one
        if one.outcome.stops and rng.random() < 0.9:
            waiting.append(one.id)
        if number % max(count // 10, 1) == 0:
            for about in waiting:
                yield verdict(rng, about, made)
            waiting.clear()


def request(rng: random.Random, number: int, made: datetime) -> Record:
    """One request of two images; a tenth is stopped."""
    outcomes = (Outcome.ALLOWED, Outcome.STEERED, Outcome.BLOCKED, Outcome.REVIEW)
    outcome = rng.choices(outcomes, weights=(75, 15, 6, 4), k=1)[0]
    actions: dict[Outcome, Action] = {
        Outcome.STEERED: "steer",
        Outcome.BLOCKED: "block",
        Outcome.REVIEW: "review",
    }
    rules = [FiredRule(id=f"rule.{rng.randrange(24)}", action=actions.get(outcome, "check"))]
    unsafe = rng.random()
    finding = Finding(
        detector="nsfw", detector_digest="sha256:" + "d" * 64, label="unsafe", score=unsafe
    )
    return Record(
        id=f"{rng.getrandbits(64):016x}-{number}",
        time=made.isoformat(timespec="milliseconds"),
        outcome=outcome,
        prompt_commitment="hmac-sha256:" + "0" * 64,
        context=Context(tenant=f"tenant-{rng.randrange(200)}", images=2),
        scores=Scores(values={"violence": rng.random(), "nudity": rng.random()}),
        decision=Decision(
            outcome=outcome,
            rules=tuple(rules if outcome != Outcome.ALLOWED else ()),
            checks=(Check(detector="nsfw", label="unsafe", threshold=1.0),),
            policy="default",
            policy_digest=f"sha256:{number // 200_000:064x}",
        ),
        images=(
            ImageRecord(seed=number, outcome=outcome, findings=(finding,)),
            ImageRecord(seed=number + 1, outcome=outcome),
        ),
        safegen="0.1.0",
    )


def verdict(rng: random.Random, about: str, made: datetime) -> Event:
    """What one of twelve reviewers said."""
    what = rng.choices(("upheld", "overturned", "escalated"), weights=(70, 25, 5), k=1)[0]
    return Event(
        id=f"{rng.getrandbits(64):016x}",
        time=made.isoformat(timespec="milliseconds"),
        what=what,
        actor=f"reviewer-{rng.randrange(12)}",
        about=about,
        reason="as the guide says",
        safegen="0.1.0",
    )


def measure(sites: dict[int, Path], rounds: int) -> dict[str, dict[int, list[float]]]:
    """Seconds of each page, by size of the ledger; the first round is not counted."""
    clients = {count: signed_in(folder) for count, folder in sites.items()}
    paths = {count: middle(folder) for count, folder in sites.items()}
    seconds: dict[str, dict[int, list[float]]] = {
        name: {count: [] for count in sites} for name in PAGES
    }
    shown = track(range(rounds + 1), "asking", console=Console(stderr=True), transient=True)
    for number in shown:
        for name, path in PAGES.items():
            for count, client in clients.items():
                started = time.perf_counter()
                page = client.get(path.format(middle=paths[count]))
                spent = time.perf_counter() - started
                page.raise_for_status()
                if number:
                    seconds[name][count].append(spent)
    return seconds


def signed_in(folder: Path) -> TestClient:
    """A browser of an admin."""
    app = create_app(Site(folder, Acts(folder), None, secure=False), ["testserver"])
    client = TestClient(app, client=("127.0.0.1", 5000))
    client.post("/sign-in", data={"name": "ann", "password": _WORDS}).raise_for_status()
    return client


def middle(folder: Path) -> int:
    """The number of a record half-way."""
    with Index.open(folder) as index:
        found = index.database.execute(
            "SELECT seq FROM records WHERE seq >= (SELECT max(seq) / 2 FROM records) LIMIT 1"
        )
        return int(found.fetchone()[0])


def told(small: list[float], large: list[float]) -> dict[str, Any]:
    """In milliseconds; the ratio is the median over rounds."""
    return {
        "ms": round(statistics.median(large) * 1000, 2),
        "slowest_ms": round(max(large) * 1000, 2),
        "ms_small": round(statistics.median(small) * 1000, 2),
        "ratio": round(statistics.median(a / b for a, b in zip(large, small, strict=True)), 2),
    }


if __name__ == "__main__":
    main()
