"""What looking at images costs: images per second, as ratios to the nudenet package's own code.

    uv run python benchmarks/audit.py [--quick] [--json] [--threads N]

Every round runs every variant once, in turn, on the same images, and divides by the round's own
runs of the package, so a machine that speeds up or slows down changes both. The package's session
is opened anew with as many threads as the detectors get; it has no other setting.
`speedup_vs_detect_loop` and `speedup_vs_detect_batch` are those of the detector `nudenet` as
policies load it, on decoded square images.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nudenet
import numpy as np
import onnxruntime
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from safegen.audit.detectors import Detector, inspect, load_detector
from safegen.audit.detectors.onnx import cores, spread
from safegen.audit.images import views
from safegen.errors import InputError, MissingExtraError
from safegen.reference.render import render
from safegen.reference.world import OCCUPATIONS, Person, Scene

Run = Callable[[], object]
LOOP, BATCH = "detect in a loop", "detect_batch"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="few square images, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--threads", type=int, default=cores(), help="for both sides")
    options = parser.parse_args()
    count, rounds = (8, 3) if options.quick else (32, 7)
    shapes = (
        {"square": (512, 512)} if options.quick else {"square": (512, 512), "portrait": (512, 768)}
    )
    torch.set_num_threads(options.threads)
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for shape, size in shapes.items():
            images = pictures(count, size)
            paths = [Path(folder) / f"{shape}-{number}.png" for number in range(count)]
            for path, image in zip(paths, images, strict=True):
                image.save(path)
            report[shape] = measure(variants(images, paths, options.threads), rounds, count)
    square = report["square"]["variants"]["nudenet"]
    report = {
        "speedup_vs_detect_loop": square["speedup_vs_detect_loop"],
        "speedup_vs_detect_batch": square["speedup_vs_detect_batch"],
        **report,
        "images": count,
        "rounds": rounds,
        "threads": options.threads,
        "machine": platform.machine(),
        "onnxruntime": onnxruntime.__version__,
    }
    if options.json:
        print(json.dumps(report))
        return
    for shape in shapes:
        table = Table("variant", "images/s", "x detect in a loop", "x detect_batch", title=shape)
        for name, told in report[shape]["variants"].items():
            table.add_row(name, *(f"{value:.2f}" for value in told.values()))
        Console().print(table)
    Console().print({key: report[key] for key in ("images", "rounds", "threads", "onnxruntime")})


def pictures(count: int, size: tuple[int, int]) -> list[Image.Image]:
    """Drawn people, enlarged, with the grain of a photograph."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        scene = Scene(Person(i % len(OCCUPATIONS), i % 2, i % 5, None), "white", "")
        pixels = np.asarray(render(scene, rng).resize(size, Image.Resampling.BICUBIC), np.int16)
        grain = rng.normal(0, 6, pixels.shape).astype(np.int16)
        made.append(Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)))
    return made


def variants(images: Sequence[Image.Image], paths: Sequence[Path], threads: int) -> dict[str, Run]:
    """What is measured, by name; the first two are the baselines."""
    package = _package(threads)
    arrays = [np.asarray(image) for image in images]
    files = [str(path) for path in paths]
    shared: dict[str, Any] = {"threads": threads}
    nude = load_detector("nudenet", **shared)
    detectors = {"nudenet": nude, **_more(shared)}
    stage = [nude, detectors["nsfw"], detectors["clip"]]

    def from_files(detector: Detector) -> object:
        return inspect([detector], spread(_first_views, paths, 4, threads))

    return {
        LOOP: lambda: [package.detect(array) for array in arrays],
        BATCH: lambda: package.detect_batch(arrays, 16),
        **{name: _looking([detector], images) for name, detector in detectors.items()},
        "nudenet + nsfw": _looking(stage[:2], images),
        "nudenet + nsfw + clip": _looking(stage, images),
        f"{LOOP}, from files": lambda: [package.detect(file) for file in files],
        f"{BATCH}, from files": lambda: package.detect_batch(files, 16),
        "nudenet, from files": lambda: from_files(nude),
    }


def _more(shared: dict[str, Any]) -> dict[str, Detector]:
    """The other detectors; bfloat16 only where the CPU calculates in it."""
    more = {"nsfw": load_detector("nsfw", **shared), "clip": load_detector("clip")}
    try:
        quick = load_detector("nudenet", precision="bfloat16", **shared)
    except (InputError, MissingExtraError):
        return more
    return {"nudenet, bfloat16": quick, **more}


def _looking(detectors: Sequence[Detector], images: Sequence[Image.Image]) -> Run:
    return lambda: inspect(detectors, images)


def _first_views(paths: Sequence[Path]) -> list[Image.Image]:
    return [views(path)[0] for path in paths]


def _package(threads: int) -> Any:
    """The package's detector, with as many threads as the other side."""
    detector = nudenet.NudeDetector()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    spec = find_spec("nudenet")
    assert spec is not None and spec.origin is not None  # noqa: S101, PT018 - imported above
    path = Path(spec.origin).parent / "320n.onnx"
    detector.onnx_session = onnxruntime.InferenceSession(str(path), options)
    return detector


def measure(runs: dict[str, Run], rounds: int, count: int) -> dict[str, Any]:
    """Images per second, and ratios to the baselines of the same round, as medians."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in track(range(rounds), "measuring", console=Console(stderr=True), transient=True):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)

    def told(name: str) -> dict[str, float]:
        files = ", from files" if name.endswith(", from files") else ""
        return {
            "images_per_second": round(count / statistics.median(seconds[name]), 2),
            "speedup_vs_detect_loop": _ratio(seconds[LOOP + files], seconds[name]),
            "speedup_vs_detect_batch": _ratio(seconds[BATCH + files], seconds[name]),
        }

    return {"variants": {name: told(name) for name in runs}}


def _ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(slow, fast, strict=True)), 3)


if __name__ == "__main__":
    main()
