"""What it takes to mark an image as generated, beside what it takes to write its file at all.

    uv run --extra c2pa python benchmarks/marks.py [--quick] [--json]

The picture is a smooth one with some noise, as photographs have. Every round encodes the file
without a mark and with one, in turn; `ratio` is the median over rounds of the second to the first,
and `bytes` what the mark adds to the file.
"""

import argparse
import io
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Literal, get_args

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from safegen import C2paMarker, Mark
from safegen.audit.marking.certificates import CERTIFICATES, KEY, make_certificates

Format = Literal["png", "jpeg", "webp"]
FORMATS: tuple[Format, ...] = get_args(Format)
SIZES = (512, 1024)
MARK = Mark(record="0" * 36, image=0, policy="eu", policy_digest=f"sha256:{'0' * 64}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="five rounds, some seconds")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args()
    rounds = 5 if options.quick else 30
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        make_certificates(made)
        cases = [(kind, size) for kind in FORMATS for size in SIZES]
        for kind, size in track(cases, "measuring", console=Console(stderr=True), transient=True):
            rows.append(measured(made, kind, size, rounds))
    if options.json:
        print(json.dumps({"rows": rows, "rounds": rounds}))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(v if isinstance(v, str) else f"{v:.4g}" for v in row.values()))
    Console().print(table)


def measured(made: Path, kind: Format, size: int, rounds: int) -> dict[str, str | float]:
    """Milliseconds for one file without and with a mark."""
    image = picture(size)
    marker = C2paMarker(made / CERTIFICATES, made / KEY, format=kind)
    bare, marked, ratios = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        start = time.perf_counter()
        plain = io.BytesIO()
        image.save(plain, kind, **({} if kind == "png" else {"quality": 95}))
        between = time.perf_counter()
        file = marker.mark(image, MARK)
        end = time.perf_counter()
        bare.append((between - start) * 1000)
        marked.append((end - between) * 1000)
        ratios.append(marked[-1] / bare[-1])
    return {
        "format": kind,
        "pixels": f"{size}x{size}",
        "unmarked ms": median(bare),
        "marked ms": median(marked),
        "ratio": median(ratios),
        "bytes": len(file) - len(plain.getvalue()),
    }


def picture(size: int) -> Image.Image:
    """A smooth picture with some noise."""
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((size, size), 3)
    noisy = np.asarray(smooth, np.float32) + rng.normal(0, 2, (size, size, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
