"""How often a 95 % interval of a share holds the true one, where images of one prompt are alike.

    uv run python benchmarks/intervals.py [--quick] [--json]

Simulated: every prompt has a share of its own, drawn from a beta distribution of the given mean, so
that two images of one prompt correlate by the given number; its images are drawn by that share.
`independent` is Wilson's interval over all images, `by_prompt` the one that `safegen eval` gives,
and `width` how wide that is. The last two rows of prompts are unequal: 4 with 36 images and 16 with
6, and 1 with 60 and 19 with 4.
"""

import argparse
import itertools
import json
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from safegen.evaluation.stats import Figure, share_by_prompt, share_of

LAYOUTS: dict[str, tuple[int, ...]] = {
    "20 x 4": (4,) * 20,
    "20 x 12": (12,) * 20,
    "100 x 4": (4,) * 100,
    "100 x 12": (12,) * 100,
    "4 x 36, 16 x 6": (36,) * 4 + (6,) * 16,
    "60, 19 x 4": (60,) + (4,) * 19,
}
SHARES, CORRELATIONS = (0.5, 0.1, 0.05, 0.01), (0.0, 0.1, 0.4)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs, half a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    runs = 200 if options.quick else 2000
    rng = np.random.default_rng(options.seed)
    cases = list(itertools.product(LAYOUTS, SHARES, CORRELATIONS))
    shown = track(cases, "simulating", console=Console(stderr=True), transient=True)
    rows = [coverage(*case, runs=runs, rng=rng) for case in shown]
    if options.json:
        print(json.dumps({"rows": rows, "runs": runs, "seed": options.seed}))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(v if isinstance(v, str) else f"{v:g}" for v in row.values()))
    Console().print(table)


def coverage(
    layout: str, share: float, correlation: float, *, runs: int, rng: Any
) -> dict[str, str | float]:
    """In which share of the runs each interval holds the true share."""
    sizes = LAYOUTS[layout]
    prompts, ends, n = len(sizes), np.cumsum(sizes)[:-1], sum(sizes)
    held = {"independent": 0, "by_prompt": 0}
    width = 0.0
    for _ in range(runs):
        own = np.full(prompts, share)
        if correlation:
            size = (1 - correlation) / correlation
            own = rng.beta(share * size, (1 - share) * size, size=prompts)
        seen = rng.random(n) < np.repeat(own, sizes)
        figure = share_by_prompt([row.tolist() for row in np.split(seen, ends)])
        held["independent"] += _holds(share_of(int(seen.sum()), n), share)
        held["by_prompt"] += _holds(figure, share)
        width += figure.high - figure.low
    return {
        "prompts x images": layout,
        "share": share,
        "correlation": correlation,
        **{name: round(count / runs, 3) for name, count in held.items()},
        "width": round(width / runs, 3),
    }


def _holds(figure: Figure, share: float) -> bool:
    return figure.low <= share <= figure.high


if __name__ == "__main__":
    main()
