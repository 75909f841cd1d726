"""What learning a vector costs until it works, by method, beside the published objective.

    uv run python benchmarks/discovery.py [--quick] [--json] [--concepts NAME …] [--state FOLDER]

For each concept on the reference model, at the mid block: `published` (self-discovery with the
published code's data, optimiser and steps) learns to its end; then each method learns with growing
budgets until, on held-out occupations, its success is 95 % of the published one's. Its cost is that
of the first budget that gets there (UNet forwards for one sample, a backward counted by its
multiply-adds; and seconds of this machine). All vectors are treated alike: on the held-out
occupations the strength is chosen among five on some seeds, and success and damage are measured on
others, by judges that took no part.

`declared` is the method that SafeGen takes by default, at the sites that the concept file declares.
Damage is the share of images that lose the occupation; `unrelated` is the pixel distance on prompts
that have nothing to do with the concept. Umbrella is a concept not shipped. With --state a run can
be interrupted; what it says of seconds is then what learning took in all.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from safegen.adapters.diffusers import Sampler

from safegen.cli.models import Bar, bar
from safegen.concepts.discovery.discover import discover
from safegen.concepts.discovery.file import load_concepts
from safegen.concepts.discovery.spec import PUBLISHED, Budget, ConceptSpec, Method, PromptPair
from safegen.concepts.discovery.work import Workbench
from safegen.concepts.vector import ConceptVector
from safegen.errors import ConceptError
from safegen.evaluation.card import Case, Eyes, Measurement, best
from safegen.evaluation.eyes import eyes_for
from safegen.reference import CONCEPTS, load_pipeline
from safegen.reference.judge import Judge

SHIPPED, OTHER = ("woman", "dark", "no-weapon"), "umbrella"
STRENGTHS = (0.5, 0.75, 1.0, 1.5, 2.0)
MID = ("mid_block",)
# Budgets that grow about twofold; the last is twice what `--budget standard` spends.
LADDERS: dict[Method, list[dict[str, Any]]] = {
    "contrast": [{"trajectories": n} for n in (8, 16, 32, 64)],
    "score-matching": [
        {"trajectories": t, "steps": s} for t, s in ((12, 10), (24, 20), (40, 60), (80, 120))
    ],
    "self-discovery": [
        {"trajectories": t, "steps": s}
        for t, s in ((12, 15), (24, 30), (40, 60), (80, 120), (160, 240))
    ],
}
# What stands for `published` in a quick run, which has a minute: a hundredth of it.
QUICK = PUBLISHED.model_copy(update={"trajectories": 8, "steps": 16})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one concept, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--concepts", nargs="+", choices=(*SHIPPED, OTHER))
    parser.add_argument("--state", type=Path, help="where an interrupted run goes on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = options.concepts or (SHIPPED[:1] if options.quick else (*SHIPPED, OTHER))
    with tempfile.TemporaryDirectory() as folder, bar(1, "learning") as show:
        run = Run(options.state or Path(folder), options.seed, options.quick, show)
        rows = [row for name in names for row in run.concept(name)]
    report = summary(rows) | {
        "rows": rows,
        "images_per_figure": run.case.images * len(run.case.pairs) if run.case else 0,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "seed": options.seed,
        "quick": options.quick,
    }
    if options.json:
        print(json.dumps(report))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)
    Console().print(json.dumps({key: report[key] for key in ("cost_ratio", "success", "damage")}))


class Run:
    """Everything that is learned and measured, kept in a folder as it is done."""

    def __init__(self, state: Path, seed: int, quick: bool, show: Bar) -> None:
        self._pipeline = load_pipeline()
        self._bench = Workbench(self._pipeline, show, state)
        self._specs = load_concepts(CONCEPTS).specs
        self._seed, self._quick = seed, quick
        self.case: Case | None = None

    def concept(self, name: str) -> Iterator[dict[str, Any]]:
        """A row for `published`, and one for each method."""
        spec = self._specs[name] if name in self._specs else umbrella(self._specs["woman"])
        at_mid = spec.model_copy(update={"sites": MID})
        published = QUICK if self._quick else PUBLISHED
        first = self._row("published", at_mid, "self-discovery", published)
        yield first
        for label, each, method in (
            *((method, at_mid, method) for method in LADDERS),
            ("declared", spec, "score-matching"),
        ):
            yield self._climb(label, each, method, first)

    def _climb(
        self, label: str, spec: ConceptSpec, method: Method, published: dict[str, Any]
    ) -> dict[str, Any]:
        """The row of the first budget that is as good as published, else of the largest."""
        budgets = LADDERS[method][:1] if self._quick else LADDERS[method]
        for update in budgets:
            row = self._row(label, spec, method, Budget(**update))
            if row["success"] >= 0.95 * published["success"]:
                return row | {"cost_ratio": round(published["forwards"] / row["forwards"], 1)}
        return row | {"cost_ratio": None}

    def _row(self, label: str, spec: ConceptSpec, method: Method, budget: Budget) -> dict[str, Any]:
        budget = budget.model_copy(update={"seed": self._seed})
        key = self._bench.name("row", label, spec, method, budget, self._quick)
        row: dict[str, Any] = self._bench.piece(
            key, lambda: self._measured(label, spec, method, budget)
        )
        return row

    def _measured(
        self, label: str, spec: ConceptSpec, method: Method, budget: Budget
    ) -> dict[str, Any]:
        started = time.perf_counter()
        # A pass of its own, so that nothing that another budget made is had for nothing.
        bench = Workbench(self._pipeline, self._bench.progress, self._bench.folder)
        row = {"concept": spec.name, "method": label, "forwards": 0.0, "seconds": 0.0}
        try:
            vector = discover(bench, [spec], method, budget)[spec.name]
        except ConceptError as error:  # it says itself that nothing was learned
            return row | {"success": 0.0, "damage": 0.0, "told": error.message, "strength": 0.0}
        row["seconds"] = round(time.perf_counter() - started, 1)
        row["forwards"] = vector.passport.work["unet_forwards"]
        return row | self._effect(spec, vector)

    def _effect(self, spec: ConceptSpec, vector: ConceptVector) -> dict[str, Any]:
        """Choose a strength on some seeds, measure on others."""
        eyes = eyes_of(spec.name)
        images, prompts = (1, 2) if self._quick else (4, 4)
        sampler = Sampler(8 if self._quick else 20, 5.0)
        self.case = Case(spec.held_out, spec.unrelated, images, sampler, 1000).at_most(prompts)
        others = replace(self.case, seed=2000)
        with Measurement(self._pipeline, vector, others, eyes) as measurement:
            tried = STRENGTHS[2:3] if self._quick else STRENGTHS
            strength = best([measurement.dose(each) for each in tried]).strength
        with Measurement(self._pipeline, vector, self.case, eyes) as measurement:
            unsteered, dose = measurement.dose(0.0), measurement.dose(strength)
            unrelated, _ = measurement.damage(dose)
        return {
            "success": round(dose.success, 3),
            "damage": round(max(0.0, unsteered.content - dose.content), 3),
            "unsteered": round(unsteered.success, 3),
            "unrelated": round(unrelated, 4),
            "strength": strength,
        }


def umbrella(like: ConceptSpec) -> ConceptSpec:
    """A concept that does not ship, declared for the same occupations."""

    def pairs(of: Sequence[PromptPair]) -> tuple[PromptPair, ...]:
        return tuple(
            PromptPair(neutral=pair.neutral, target=f"{pair.neutral} with an umbrella")
            for pair in of
        )

    changed = {"name": OTHER, "pairs": pairs(like.pairs), "held_out": pairs(like.held_out)}
    return like.model_copy(update=changed)


def eyes_of(concept: str) -> Eyes:
    """The judges; for the umbrella, that of items."""
    eyes = eyes_for(concept, reference=True)
    if concept != OTHER:
        return eyes
    judge = Judge.load()

    def shows(images: Sequence[Image.Image], _: Sequence[PromptPair]) -> list[bool]:
        return [verdict.item == OTHER for verdict in judge(images)]

    return Eyes("the judge of items", shows, eyes.kept, eyes.clip_score)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Over the concepts: the lowest cost ratio of each method, mean success and damage."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    of = {method: [row for row in rows if row["method"] == method] for method in methods}
    ratios = {m: [row.get("cost_ratio") for row in of[m]] for m in methods if m != "published"}
    return {
        "cost_ratio": {m: None if None in each else min(each) for m, each in ratios.items()},
        "success": {m: round(sum(r["success"] for r in of[m]) / len(of[m]), 3) for m in methods},
        "damage": {m: round(sum(r["damage"] for r in of[m]) / len(of[m]), 3) for m in methods},
    }


if __name__ == "__main__":
    main()
