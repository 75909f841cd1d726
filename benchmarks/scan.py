"""What a scan costs: images per second, beside a plain loop over the same detectors.

    uv run python benchmarks/scan.py [--quick] [--json]

Every round runs, in turn and on the same files, a loop that opens one file after the other and
gives each to the detectors, and a scan with its journal, results and digests, from nothing. The
ratio is that of the same round. Then the scan is run again, with everything known.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from safegen.audit.detectors import Detector, detectors_of, inspect
from safegen.audit.detectors.onnx import cores
from safegen.audit.scan import scan
from safegen.policy import Policy

POLICY = """\
apiVersion: safegen/v1
metadata: {name: benchmark, version: "1"}
rules:
  - id: look
    when: "true"
    then: {check: [{detector: nsfw, label: nsfw, threshold: 0.8}]}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="few images, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args()
    count, rounds = (96, 3) if options.quick else (512, 7)
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), count, rounds) | {"images": count, "rounds": rounds}
    report["cores"] = cores()
    if options.json:
        print(json.dumps(report))
        return
    table = Table("measure", "value")
    for name, value in report.items():
        table.add_row(name, f"{value:g}")
    Console().print(table)


def measure(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Images per second of loop, scan, and scan of what is known; medians over the rounds."""
    archive, policy = folder / "archive", folder / "policy.yaml"
    archive.mkdir()
    policy.write_text(POLICY)
    for number in range(count):
        picture = Image.effect_noise((512, 512), 40 + number % 50).convert("RGB")
        picture.save(archive / f"{number}.jpg", quality=85)
    detectors = detectors_of(Policy.load(policy))
    seconds: dict[str, list[float]] = {"loop": [], "scan": [], "known": []}
    for number in track(range(rounds), "measuring", console=Console(stderr=True), transient=True):
        out = folder / f"{number}.jsonl"
        seconds["loop"].append(_timed(lambda: _loop(archive, detectors)))
        # What a scan times begins when its detectors are loaded, as the loop's are.
        seconds["scan"].append(scan(archive, policy, out).seconds)
        seconds["known"].append(scan(archive, policy, out).seconds)
    ratios = [loop / scan for loop, scan in zip(seconds["loop"], seconds["scan"], strict=True)]
    return {
        "speedup_vs_loop": round(statistics.median(ratios), 3),
        **{
            f"{name}_images_per_second": round(count / statistics.median(taken), 1)
            for name, taken in seconds.items()
        },
    }


def _loop(archive: Path, detectors: list[Detector]) -> None:
    for path in archive.iterdir():
        with Image.open(path) as image:
            inspect(detectors, [image])


def _timed(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
