"""How well a text head can tell hot from cold prompts, and what stands in the way of more.

    uv run python benchmarks/risk_quality.py i2p.csv=inappropriate_percentage coco_captions.csv=0 \
        parti_prompts.csv=0 ring_a_bell_violence.csv=1 [--quick] [--json]

Of files in which all is harmless, every fourth row is taken. Heads are trained as `safegen risk
train` does it and measured on prompts that they have not seen:

- in five parts of the rows, near duplicates (cosine of the embeddings above 0.85) in one part;
- on smaller shares of the rows: a learning curve;
- against a judge that knows each prompt's true rate, where labels are shares of ten images. The
  rates are a Beta distribution fitted to the labels. That judge errs by the labels' noise alone.

And the head that ships, on held-out prompts: which share of each kind scores above a threshold,
and how many are hot among those of mixed files that score alike.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import betabinom
from sklearn.metrics import roc_auc_score

from safegen.errors import InputError
from safegen.risk.data import COLD, HOT, Row, read_rows
from safegen.risk.embedding import Embeddings, shared_embedder
from safegen.risk.head import Head, HeadClassifier, HeadSettings, words
from safegen.risk.measure import Share, kinds, measure
from safegen.risk.training import train

Kinds = NDArray[np.str_]

_ALIKE = 0.85
_PARTS = 5
_IMAGES = 10  # of a prompt, by which I2P's labels were made
_THRESHOLDS = (0.37, 0.5, 0.6, 0.7, 0.8, 0.9, 0.94)
_STEPS = 5  # from 0 to 1, for what a score means


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("files", nargs="+", metavar="FILE=RISK", help="as for `safegen risk train`")
    parser.add_argument("--quick", action="store_true", help="half of the rows, in two parts")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args()
    rows = read_rows(options.files)
    # Harmless prompts are plentiful and weigh little in training.
    every = 12 if options.quick else 4
    harmless = {row.source for row in rows} - {row.source for row in rows if row.risk > 0}
    kept = [i for i, row in enumerate(rows) if row.source not in harmless or i % every == 0]
    if options.quick:
        kept = kept[::2]
    which = np.array(kinds(rows))[kept]
    rows = [rows[i] for i in kept]
    embeddings = shared_embedder().all([row.prompt for row in rows])
    told = measured(rows, which, embeddings, parts=2 if options.quick else _PARTS)
    if options.json:
        print(json.dumps(told))
    else:
        show(told)


def measured(
    rows: Sequence[Row], which: Kinds, embeddings: Embeddings, parts: int
) -> dict[str, Any]:
    """Everything, by name."""
    part = parted(rows, embeddings)
    runs = [one_part(rows, which, embeddings, part == number, 1.0) for number in range(parts)]
    scores = np.full(len(rows), np.nan)
    for number, (values, _) in enumerate(runs):
        scores[part == number] = values
    curve = {
        share: [
            one_part(rows, which, embeddings, part == number, share)[1] for number in range(parts)
        ]
        for share in (0.25, 0.5)
    }
    curve[1.0] = [found for _, found in runs]
    mixed = {row.source for row, kind in zip(rows, which, strict=True) if kind in {"hot", "cold"}}
    return {
        "rows": len(rows),
        "groups": len(set(groups(embeddings).tolist())),
        "parts": {
            name: spread([found[name] for _, found in runs])
            for name in ("hot_benign", "hot_cold", "hot_caught", "cold_caught")
        },
        "learning_curve": {
            str(share): spread([found["hot_cold"] for found in each])
            for share, each in curve.items()
        },
        "categories": by_category(rows, which, scores),
        "labels_alone": noise(np.array([row.risk for row in rows if row.source in mixed])),
        **shipped(rows, which, embeddings),
    }


def groups(embeddings: Embeddings) -> NDArray[np.int64]:
    """The number of each row's group of near duplicates."""
    near = csr_array(embeddings @ embeddings.T > _ALIKE)
    return np.asarray(connected_components(near, directed=False)[1], dtype=np.int64)


def parted(rows: Sequence[Row], embeddings: Embeddings) -> NDArray[np.int64]:
    """Each row's part, the same for near duplicates: that of the first prompt of their group."""
    group = groups(embeddings)
    first = np.unique(group, return_index=True)[1]
    return np.array([rows[first[number]].fold for number in group.tolist()])


def one_part(
    rows: Sequence[Row],
    which: Kinds,
    embeddings: Embeddings,
    unseen: NDArray[np.bool_],
    share: float,
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Scores of unseen rows, and figures, by a head trained on a share of the others."""
    others = np.flatnonzero(~unseen)
    taken = np.random.default_rng(0).permutation(others)[: round(share * len(others))]
    head = train([rows[i] for i in taken], 0, embeddings[taken])
    mine = [rows[i] for i in np.flatnonzero(unseen)]
    values = risks(head, mine, embeddings[unseen])
    found = measure(mine, which[unseen].tolist(), values.tolist())
    return values, {
        "hot_benign": found.auroc_hot_benign,
        "hot_cold": found.auroc_hot_cold,
        "hot_caught": caught(found.hot),
        "cold_caught": caught(found.cold),
    }


def caught(share: Share) -> float:
    """The share above the threshold, of rows that every part must have."""
    if share.above is None:
        raise InputError("expected hot and cold rows in every part", "give more prompts")
    return share.above


def risks(head: Head, rows: Sequence[Row], embeddings: Embeddings) -> NDArray[np.float64]:
    """What a head says of rows whose embeddings are known."""
    found = head.risk(head.parts(embeddings, [words(row.prompt) for row in rows]))
    return found.astype(np.float64)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, and standard deviation over the parts."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1))}


def by_category(
    rows: Sequence[Row], which: Kinds, scores: NDArray[np.float64]
) -> dict[str, dict[str, float]]:
    """AUROC of hot against cold within each category, over all parts that were measured."""
    clear = np.isin(which, ["hot", "cold"]) & ~np.isnan(scores)
    found = {}
    for name in sorted({each for row in rows for each in row.categories}):
        there = clear & np.array([name in row.categories for row in rows])
        if len(set(which[there])) == 2:
            auroc = roc_auc_score(which[there] == "hot", scores[there])
            found[name] = {"auroc": float(auroc), "rows": int(there.sum())}
    return found


def noise(labels: NDArray[np.float64]) -> dict[str, float]:
    """What a judge reaches that knows the true rates, of which each label is a draw of ten."""
    counts = np.round(labels * _IMAGES).astype(int)

    def misfit(logs: NDArray[np.float64]) -> float:
        return -float(betabinom.logpmf(counts, _IMAGES, *np.exp(logs)).sum())

    a, b = np.exp(minimize(misfit, np.zeros(2)).x)
    draw = np.random.default_rng(0)
    rates = draw.beta(a, b, 200_000)
    drawn = draw.binomial(_IMAGES, rates) / _IMAGES
    hot, cold = drawn >= HOT, drawn <= COLD
    clear = hot | cold
    return {
        "alpha": float(a),
        "beta": float(b),
        "auroc": float(roc_auc_score(hot[clear], rates[clear])),
        "variance": float(labels.var()),
        "variance_of_noise": float((rates * (1 - rates) / _IMAGES).mean()),
    }


def shipped(rows: Sequence[Row], which: Kinds, embeddings: Embeddings) -> dict[str, Any]:
    """What the shipped head says of held-out prompts."""
    head = HeadClassifier("head", HeadSettings(kind="head")).head
    held_out = np.array([row.fold == 0 for row in rows])
    values, which = risks(head, rows, embeddings)[held_out], which[held_out]
    return {"shipped": shares(which, values), "by_score": by_score(which, values)}


def shares(which: Kinds, values: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Of each kind of prompts, the share at or above thresholds."""
    return {
        str(threshold): {
            kind: float((values[which == kind] >= threshold).mean())
            for kind in ("benign", "hot", "cold", "attack")
        }
        for threshold in _THRESHOLDS
    }


def by_score(which: Kinds, values: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Of prompts of mixed sources: how many are hot among all, and among the hot and cold."""
    told = {}
    steps = np.minimum((values * _STEPS).astype(int), _STEPS - 1)
    for step in range(_STEPS):
        there = steps == step
        hot, cold, between = (int((there & (which == kind)).sum()) for kind in ("hot", "cold", ""))
        told[f"{step / _STEPS:g} to {(step + 1) / _STEPS:g}"] = {
            "rows": hot + cold + between,
            "hot_among_all": hot / max(hot + cold + between, 1),
            "clear": hot + cold,
            "hot_among_clear": hot / max(hot + cold, 1),
        }
    return told


def show(told: dict[str, Any]) -> None:
    """As tables."""
    console = Console()
    console.print(f"{told['rows']} prompts in {told['groups']} groups of near duplicates")
    table = Table("unseen prompts", "mean", "std")
    for name, each in told["parts"].items():
        table.add_row(name, f"{each['mean']:.3f}", f"{each['std']:.3f}")
    console.print(table)
    table = Table("trained on", "AUROC hot/cold", "std")
    for share, each in told["learning_curve"].items():
        table.add_row(f"{float(share):.1%}", f"{each['mean']:.3f}", f"{each['std']:.3f}")
    console.print(table)
    table = Table("category", "AUROC hot/cold", "rows")
    for name, each in told["categories"].items():
        table.add_row(name, f"{each['auroc']:.3f}", str(each["rows"]))
    console.print(table)
    alone = told["labels_alone"]
    console.print(
        f"true rates known: AUROC hot/cold {alone['auroc']:.3f}; of the labels' variance "
        f"{alone['variance']:.3f}, {alone['variance_of_noise']:.3f} is noise"
    )
    table = Table("shipped head from", "benign", "hot", "cold", "attack")
    for threshold, each in told["shipped"].items():
        table.add_row(threshold, *(f"{value:.1%}" for value in each.values()))
    console.print(table)
    table = Table("score", "prompts", "hot among all", "hot and cold", "hot among these")
    for score, each in told["by_score"].items():
        table.add_row(
            score,
            str(each["rows"]),
            f"{each['hot_among_all']:.0%}",
            str(each["clear"]),
            f"{each['hot_among_clear']:.0%}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
