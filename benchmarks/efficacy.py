"""Is SafeGen's default policy fairer and safer than the methods beside it, and what does it cost?

    uv run python benchmarks/efficacy.py [--quick] [--json] [--state FOLDER] [--only NAME …]

On the reference model, same prompts and seeds for all, by judges that made and audited none of the
images. `unguarded` is the bare model; `published` the vectors of the published objective, always
on; `default` SafeGen's default policy without audit (steering and text side); `whole_guard` the
same with detectors, ladder and ledger. Fairness is measured on 102 images of each of 21
occupations for `default`, on fewer for the others (`SCALES`).

| key | protocol of `safegen eval` | figure |
|---|---|---|
| gender_deviation_ratio, tone_deviation_ratio | fair | mean over all occupations |
| armed_rate_implicit | safe | share of armed images, prompts that do not ask |
| attack_success | attacks | share of prompts lost, mean over the attacks |
| negation_obeyed | text | share of images without what was ruled out |
| harmless_identical, clip_score_drop | quality | beside the bare model's image of the same seed |

Negative prompts, SLD and SEGA have nothing to set for fairness: null there. With --state answers
and found attacks are kept, so a run that was interrupted goes on, and the report with its pictures
is written there. `figures` has every figure with its 95 % interval, by protocol and by the name
that `safegen eval` has for the subject.
"""

import argparse
import json
import platform
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from safegen.cli.models import Bar, bar
from safegen.evaluation import report
from safegen.evaluation.attacking import Budgets
from safegen.evaluation.attacks.blackbox import BlackBoxBudget
from safegen.evaluation.edits import EsdBudget
from safegen.evaluation.results import Measured
from safegen.evaluation.run import Protocol, Scale, measure
from safegen.evaluation.suite import Suite
from safegen.evaluation.worlds import reference_world
from safegen.files import write_file
from safegen.reference import load_pipeline

COLUMNS = {
    "unguarded": "none",
    "published": "constant",
    "default": "unaudited",
    "whole_guard": "default",
}
PEERS = ("negative-prompt", "sld", "sega", "gate", "uce", "esd")
NOT_FAIR = ("negative-prompt", "sld", "sega")
KEYS: dict[str, tuple[Protocol, str]] = {
    "gender_deviation_ratio": ("fair", "gender_deviation_ratio"),
    "tone_deviation_ratio": ("fair", "tone_deviation_ratio"),
    "armed_rate_implicit": ("safe", "inappropriate_probability"),
    "attack_success": ("attacks", "attack_success"),
    "negation_obeyed": ("text", "negation_obeyed"),
    "harmless_identical": ("quality", "identical"),
    "clip_score_drop": ("quality", "clip_score_drop"),
}
PROTOCOLS: tuple[Protocol, ...] = ("fair", "safe", "text", "quality", "attacks")
FULL = Scale(
    fair_images=102, safe_images=10, text_images=1, quality_images=1, limit=168, attacked=3
)
LESS = FULL.model_copy(update={"fair_images": 12, "safe_images": 5})
PEER = Scale(fair_images=12, safe_images=4, text_images=1, quality_images=1, limit=40, attacked=3)
SCALES = {
    "unguarded": FULL.model_copy(update={"fair_images": 24}),
    "published": LESS,
    "default": FULL,
    "whole_guard": LESS,
}
QUICK = Scale(
    fair_images=4,
    occupations=("doctor", "mechanic", "guard"),
    safe_images=2,
    text_images=1,
    quality_images=1,
    limit=4,
    attacked=1,
    attacks=("black-box",),
    budgets=Budgets(black_box=BlackBoxBudget(queries=4)),
)
# Tuning as for the table would take most of a quick run.
QUICK_ESD = EsdBudget(iterations=15, batch=4, learning_rate=1e-3, sampling_steps=12)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few images, one attack; 5 minutes")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--state", type=Path, help="where answers and the report are kept")
    parser.add_argument("--only", nargs="+", choices=(*COLUMNS, *PEERS), help="just these")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = [n for n in (*COLUMNS, *PEERS) if not options.only or n in options.only]
    steps = 10 if options.quick else 20
    with tempfile.TemporaryDirectory() as folder, bar(1, "loading") as show:
        state = options.state or Path(folder)
        world = reference_world()
        if options.quick:
            world = replace(world, esd=QUICK_ESD)
        suite = Suite(load_pipeline(), world, state / "answers", steps=steps, progress=show)
        found = {name: column(suite, name, options.quick, options.seed, show) for name in names}
        about = {
            "seed": options.seed,
            "steps": steps,
            "quick": options.quick,
            "policy": f"{suite.policy.name} {suite.policy.digest}",
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
        }
        measured = [each for column_ in found.values() for each in column_.values()]
        write_file(state / "report.html", report.as_html(measured, about).encode())
    told = {name: values(column_) for name, column_ in found.items()}
    result = {name: told[name] for name in COLUMNS if name in told} | {
        "peers": {name: told[name] for name in PEERS if name in told},
        "figures": report.as_json(measured, about)["results"],
        **about,
    }
    if options.json:
        print(json.dumps(result))
        return
    table = Table("", *KEYS)
    for name, row in told.items():
        table.add_row(name, *("-" if value is None else f"{value:.4f}" for value in row.values()))
    Console().print(table)


def column(suite: Suite, name: str, quick: bool, seed: int, show: Bar) -> dict[Protocol, Measured]:
    """Every protocol on one subject."""
    scale = QUICK if quick else SCALES.get(name, PEER)
    return {
        protocol: measure(suite, protocol, COLUMNS.get(name, name), scale, seed, show)
        for protocol in PROTOCOLS
        if protocol != "fair" or name not in NOT_FAIR
    }


def values(found: dict[Protocol, Measured]) -> dict[str, float | None]:
    """The figures that the table asks for."""
    figures = {key: found[p].figures.get(name) for key, (p, name) in KEYS.items() if p in found}
    return {key: figure.value if (figure := figures.get(key)) else None for key in KEYS}


if __name__ == "__main__":
    main()
