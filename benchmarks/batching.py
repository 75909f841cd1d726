"""What it brings to make waiting requests together, on the reference model.

    uv run python benchmarks/batching.py [--quick] [--json]

Sixteen unlike requests of one image each (with --quick, eight) come at once, as to a busy service;
every round serves them in turn and in batches of up to 2, 4 and 8, and divides the first time by
the others. The first request never waits for the rest. The whole guard is at work: policy,
steering, detectors and ledger.
"""

import argparse
import asyncio
import json
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.progress import track

from safegen.adapters.sampler import Sampler
from safegen.guard import Guard
from safegen.guarded import GuardedPipeline
from safegen.nouns import Outcome
from safegen.reference import load_pipeline

OCCUPATIONS = ("cook", "pilot", "teacher", "farmer", "mechanic", "guard", "artist", "judge")
PROMPTS = [f"a photo of a {each}" for each in OCCUPATIONS]
BATCHES = (2, 4, 8)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    rounds, steps, prompts = (5, 20, PROMPTS * 2) if not options.quick else (2, 4, PROMPTS)
    ratios = measure(prompts, rounds, Sampler(steps))
    report = {
        "speedup": {
            str(batch): {
                "median": round(statistics.median(found), 3),
                "least": round(min(found), 3),
                "most": round(max(found), 3),
            }
            for batch, found in ratios.items()
        },
        "requests": len(prompts),
        "rounds": rounds,
        "steps": steps,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }
    if options.json:
        print(json.dumps(report))
        return
    Console(highlight=False).print(report)


def measure(prompts: Sequence[str], rounds: int, sampler: Sampler) -> dict[int, list[float]]:
    """By batch, how many times as fast as in turn the requests are served, by round."""
    pipeline = load_pipeline()
    pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
    ratios: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Guard.from_policy("default", ledger=folder) as guard,
    ):

        def seconds(batch: int) -> float:
            with guard.attach(pipeline, batch=batch) as guarded:
                started = time.perf_counter()
                asyncio.run(serve(guarded, prompts, sampler))
                return time.perf_counter() - started

        for _ in track(range(rounds), "serving", console=console, transient=True):
            in_turn = seconds(1)
            for batch, found in ratios.items():
                found.append(in_turn / seconds(batch))
    return ratios


async def serve(guarded: GuardedPipeline, prompts: Sequence[str], sampler: Sampler) -> None:
    """All at once; an error would be no speed."""
    waiting = (guarded.generate_async(each, seed=0, sampler=sampler) for each in prompts)
    results = await asyncio.gather(*waiting)
    if failed := [each.error for each in results if each.outcome == Outcome.ERROR]:
        raise RuntimeError(failed[0])


if __name__ == "__main__":
    main()
