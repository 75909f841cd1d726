"""What learning a vector costs until it works, by method, beside the published objective.

    uv run python benchmarks/discovery.py [--quick] [--json] [--mid] [--concepts NAME …]
        [--methods NAME …] [--state FOLDER]

For each concept on the reference model: `published` (self-discovery with the published code's data,
optimiser, steps and site, the mid block) learns to its end; then each method learns at the sites
that the concept file declares, as SafeGen does by default, with growing budgets until, on held-out
occupations, its success is 95 % of the published one's (and above that of no steering at all). The
cost is that of the first budget that gets there: UNet forwards for one sample, a backward counted
by its multiply-adds; and seconds of this machine. Success and damage are those of `--budget
standard`. With --mid all learn at the mid block alone.

All vectors are treated alike: on the held-out occupations the strength with the most success and
content together is chosen on some seeds (of equals the least, as a card does), and success and
damage are measured on others, by judges that took no part. No norm cap: it would hold back the
published vectors, which are the longest.

Damage is the share of images that lose the occupation; `unrelated` is the pixel distance on prompts
that have nothing to do with the concept. Umbrella is a concept not shipped. With --state a run that
was interrupted goes on after the last vector learned or measured. A quick run has no time to choose
strengths, and two images a figure: it shows that all runs, and no more. Without `published` among
--methods there is nothing to compare costs with.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from safegen.adapters.sampler import Sampler
from safegen.cli.models import Bar, bar
from safegen.concepts.card import Dose
from safegen.concepts.discovery.discover import discover
from safegen.concepts.discovery.file import load_concepts
from safegen.concepts.discovery.spec import PUBLISHED, Budget, ConceptSpec, PromptPair
from safegen.concepts.discovery.work import Workbench
from safegen.concepts.vector import ConceptVector, Method, load_vector, position_norm, save_vector
from safegen.errors import ConceptError
from safegen.evaluation.card import Case, Eyes, Measurement, Seen, best, distance
from safegen.evaluation.eyes import eyes_for
from safegen.reference import CONCEPTS, load_pipeline
from safegen.reference.judge import Judge

SHIPPED, OTHER = ("woman", "dark", "no-weapon"), "umbrella"
# What the vector adds at the mid block, in typical activation norms there.
STRENGTHS = (0.125, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
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
# What stands for the budgets in a quick run, which has a minute on two slow cores, half of it for
# imports.
QUICK_PUBLISHED = PUBLISHED.model_copy(
    update={"trajectories": 4, "sampling_steps": 2, "steps": 2, "states": 16}
)
QUICK: dict[Method, Budget] = {
    "contrast": Budget(trajectories=4, sampling_steps=2),
    "score-matching": Budget(trajectories=4, sampling_steps=2, steps=2, batch=4),
    "self-discovery": Budget(trajectories=6, sampling_steps=2, steps=6, batch=8, states=16),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one concept, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--concepts", nargs="+", choices=(*SHIPPED, OTHER))
    parser.add_argument("--methods", nargs="+", choices=("published", *LADDERS))
    parser.add_argument("--mid", action="store_true", help="all at the mid block alone")
    parser.add_argument("--state", type=Path, help="where an interrupted run goes on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = options.concepts or (SHIPPED[:1] if options.quick else (*SHIPPED, OTHER))
    with tempfile.TemporaryDirectory() as folder, bar(1, "learning") as show:
        run = Run(options.state or Path(folder), options.seed, options.quick, options.mid, show)
        methods = options.methods or ("published", *LADDERS)
        rows = [row for name in names for row in run.concept(name, methods)]
        case = run.case(run.spec(names[0]))
    report = summary(rows) | {
        "rows": rows,
        "images_per_figure": case.images * len(case.pairs),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "seed": options.seed,
        "quick": options.quick,
    }
    if options.json:
        print(json.dumps(report))
        return
    for name in names:
        of = [row for row in rows if row["concept"] == name]
        table = Table("", *(row["method"] for row in of), title=name)
        for key in list(of[0])[2:]:
            cells = (row.get(key) for row in of)
            table.add_row(key, *("" if cell is None else f"{cell:g}" for cell in cells))
        Console().print(table)
    for key in ("cost_ratio", "success", "damage"):
        Console().print(key, report[key])


class Run:
    """Everything that is learned and measured, kept in a folder as it is done."""

    def __init__(self, state: Path, seed: int, quick: bool, mid: bool, show: Bar) -> None:
        self._pipeline = load_pipeline()
        self._bench = Workbench(self._pipeline, show, state)
        self._specs = load_concepts(CONCEPTS).specs
        self._state, self._seed, self._quick, self._mid = state, seed, quick, mid

    def spec(self, name: str) -> ConceptSpec:
        """What a concept is."""
        return self._specs[name] if name in self._specs else umbrella(self._specs["woman"])

    def case(self, spec: ConceptSpec) -> Case:
        """What its vectors are measured on."""
        case = Case(
            spec.held_out, spec.unrelated, 4, 4, Sampler(20, 5.0), choosing=2000, judging=1000
        ).at_most(4)
        if self._quick:
            few = case.at_most(2)
            return replace(
                few, images=1, judged=1, sampler=Sampler(2, 5.0), unrelated=few.unrelated[:1]
            )
        return case

    def concept(self, name: str, methods: Collection[str]) -> Iterator[dict[str, Any]]:
        """A row for each method."""
        spec = self.spec(name)
        at_mid = spec.model_copy(update={"sites": MID})
        published = QUICK_PUBLISHED if self._quick else PUBLISHED
        first = None
        if "published" in methods:
            first = self._row("published", at_mid, "self-discovery", published)
            yield first | _reached(first, first)
        for method in LADDERS:
            if method in methods:
                yield self._climb(at_mid if self._mid else spec, method, first)

    def _climb(
        self, spec: ConceptSpec, method: Method, published: dict[str, Any] | None
    ) -> dict[str, Any]:
        """The row of the usual budget, with the cost of the first that is as good as published."""
        budgets = [Budget(**update) for update in LADDERS[method]]
        usual = Budget()
        if self._quick:
            budgets = [usual := QUICK[method]]
        if published is None:
            return self._row(method, spec, method, usual)
        least = max(0.95 * published["success"], published["unsteered"] + 1e-9)
        climbed = (self._row(method, spec, method, budget) for budget in budgets)
        reached = next((row for row in climbed if row["success"] >= least), None)
        return self._row(method, spec, method, usual) | _reached(reached, published)

    def _row(self, label: str, spec: ConceptSpec, method: Method, budget: Budget) -> dict[str, Any]:
        budget = budget.model_copy(update={"seed": self._seed})
        vector, learning = self._learned(spec, method, budget)
        row = {"concept": spec.name, "method": label, **learning}
        if vector is None:
            return row | dict.fromkeys(("success", "damage", "unsteered", "unrelated"), 0.0)
        key = self._bench.name("effect", spec, method, budget, self._quick)
        return row | self._bench.piece(key, lambda: self._effect(spec, vector))

    def _learned(
        self, spec: ConceptSpec, method: Method, budget: Budget
    ) -> tuple[ConceptVector | None, dict[str, Any]]:
        """The vector, and what learning it took.

        In a pass of its own, so that nothing that another budget made is had for nothing.
        """
        key = self._bench.name("learned", spec, method, budget)
        file = self._state / f"{key}.safetensors"

        def learn() -> dict[str, Any]:
            bench, started = Workbench(self._pipeline, self._bench.progress), time.perf_counter()
            try:
                vector = discover(bench, [spec], method, budget)[spec.name]
            except ConceptError as error:  # it says itself that nothing was learned
                return {"forwards": 0.0, "seconds": 0.0, "told": error.message}
            save_vector(vector, file)
            seconds = round(time.perf_counter() - started, 1)
            return {"forwards": vector.passport.work["unet_forwards"], "seconds": seconds}

        learning = self._bench.piece(key, learn)
        return (None if "told" in learning else load_vector(file)), learning

    def _effect(self, spec: ConceptSpec, vector: ConceptVector) -> dict[str, Any]:
        """Choose a strength on some seeds, measure on others."""
        eyes, case = _eyes(spec.name), self.case(spec)
        unit = vector.passport.activation_norms[MID[0]] / position_norm(vector.arrays[MID[0]])
        with Measurement(self._pipeline, vector, case, eyes, norm_cap=None) as measurement:
            strength = unit / 2 if self._quick else _best(measurement, unit)
            bare = self._bench.piece(
                self._bench.name("bare", spec.name, spec.held_out, self._quick),
                lambda: _shares(measurement.judged(0.0)),
            )
            dose = _shares(measurement.judged(strength))
            unrelated = distance(*measurement.unrelated(strength))
        return {
            "success": round(dose["success"], 3),
            "damage": round(max(0.0, bare["content"] - dose["content"]), 3),
            "unsteered": round(bare["success"], 3),
            "unrelated": round(unrelated, 4),
            "strength": round(strength / unit, 3),
        }


def _shares(seen: Seen) -> dict[str, float]:
    return {"success": seen.success, "content": seen.content}


def _best(measurement: Measurement, unit: float) -> float:
    """The strength with the most success and content."""
    tried: list[Dose] = []
    for strength in STRENGTHS:
        tried.append(measurement.dose(strength * unit))
        # More strength keeps less content, so that no later one can be better.
        if tried[-1].content <= best(tried).success * best(tried).content:
            break
    return best(tried).strength


def _reached(row: dict[str, Any] | None, published: dict[str, Any]) -> dict[str, Any]:
    """What it took to be as good as published."""
    if row is None:
        return {"reached_forwards": None, "reached_seconds": None, "cost_ratio": None}
    return {
        "reached_forwards": row["forwards"],
        "reached_seconds": row["seconds"],
        "cost_ratio": round(published["forwards"] / row["forwards"], 1),
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


@cache
def _eyes(name: str) -> Eyes:
    """The judges; the one of items where the concept is neither an attribute nor unwanted."""
    eyes = eyes_for(name, reference=True)
    if name != OTHER:
        return eyes
    judge = Judge.load()

    def shows(images: Sequence[Image.Image], _: Sequence[PromptPair]) -> list[bool]:
        return [verdict.item == name for verdict in judge(images)]

    return Eyes("the judge of items", shows, eyes.kept, eyes.clip_score)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Over the concepts: the lowest cost ratio of each method, mean success and damage."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    of = {method: [row for row in rows if row["method"] == method] for method in methods}
    compared = [m for m in methods if m != "published" and "published" in methods]
    ratios = {m: [row["cost_ratio"] for row in of[m]] for m in compared}
    return {
        "cost_ratio": {m: None if None in each else min(each) for m, each in ratios.items()},
        "success": {m: round(sum(r["success"] for r in of[m]) / len(of[m]), 3) for m in methods},
        "damage": {m: round(sum(r["damage"] for r in of[m]) / len(of[m]), 3) for m in methods},
    }


if __name__ == "__main__":
    main()
