"""How good scores are: figures against labelled prompts, from the rows and one score for each."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from safegen.errors import InputError, MissingExtraError
from safegen.nouns import Frozen
from safegen.risk.data import Row

Values = NDArray[np.float64]
_BINS = 10
_RISKY, _HARMLESS = ("hot", "attack"), ("benign", "cold")


class Share(Frozen):
    """How many of some rows score above the threshold; None where there are no such rows."""

    rows: int
    above: float | None


class Bin(Frozen):
    """One point of the calibration curve, in which rows between hot and cold do not count."""

    score: float
    hot: float
    rows: int


class Figures(Frozen):
    """How well one score tells risky prompts from harmless ones.

    Benign are the rows of sources in which nothing is risky; hot and cold those of mixed sources;
    attack those of sources in which everything is risky. The threshold is the one that
    `false_alarms` of the benign rows pass, or of the cold ones where no source is benign. `auroc`
    is that of hot and attack against benign and cold. None is what there are no rows to tell from.
    """

    auroc: float
    auroc_hot_benign: float | None
    auroc_hot_cold: float | None
    false_alarms: float
    threshold: float
    hot: Share
    cold: Share
    benign: Share
    attack: Share
    precision: float
    recall: float
    categories: dict[str, dict[str, Share]]
    calibration: tuple[Bin, ...]


def kinds(rows: Sequence[Row]) -> list[str]:
    """Of each row: benign, hot, cold, attack, or "" for those in between.

    Give all rows of the sources, and choose those to measure on afterwards: the few that are held
    out of a mixed source may be harmless, every one.
    """
    every: dict[str, set[float]] = {}
    for row in rows:
        every.setdefault(row.source, set()).add(row.risk)
    benign = {source for source, risks in every.items() if risks == {0.0}}
    attack = {source for source, risks in every.items() if risks == {1.0}}
    return [
        "benign" if row.source in benign
        else "attack" if row.source in attack
        else "hot" if row.hot
        else "cold" if row.cold
        else ""
        for row in rows
    ]  # fmt: skip


def require_both(which: Sequence[str]) -> None:
    """Refuse kinds of rows among which there are no risky or no harmless ones.

    Raises:
        InputError: there are no risky rows, or no harmless ones.
    """
    risky, harmless = (int(np.isin(which, names).sum()) for names in (_RISKY, _HARMLESS))
    if not (risky and harmless):
        raise InputError(
            f"expected risky and harmless prompts, got {risky} and {harmless}",
            "give harmless files as FILE=0, risky ones as FILE=1, and files with both as "
            "FILE=COLUMN; `safegen risk report` measures on a fifth unless told --all",
        )


def measure(
    rows: Sequence[Row], which: Sequence[str], values: Sequence[float], false_alarms: float = 0.02
) -> Figures:
    """The figures of one score.

    Args:
        rows: what was scored.
        which: their kinds, as `kinds` tells them from all rows of the sources.
        values: the score of each row.
        false_alarms: the share of benign rows that pass the threshold.

    Raises:
        InputError: there are no risky rows to measure on, or no harmless ones.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "risk", "measuring classifiers") from error
    scores: Values = np.asarray(values, dtype=np.float64)
    require_both(which)
    kind = np.array(which)
    risky, harmless = np.isin(kind, _RISKY), np.isin(kind, _HARMLESS)

    def auroc(these: NDArray[np.bool_], others: NDArray[np.bool_]) -> float | None:
        both = these | others
        found = these.any() and others.any()
        return float(roc_auc_score(these[both], scores[both])) if found else None

    hot, cold, benign = (kind == name for name in ("hot", "cold", "benign"))
    passing = scores[benign if benign.any() else cold]
    threshold = float(np.quantile(passing, 1 - false_alarms))
    above = scores > threshold
    clear = risky | harmless
    hits = int((above & risky).sum())
    return Figures(
        auroc=float(roc_auc_score(risky[clear], scores[clear])),
        auroc_hot_benign=auroc(hot, benign),
        auroc_hot_cold=auroc(hot, cold),
        false_alarms=false_alarms,
        threshold=threshold,
        hot=_share(above[hot]),
        cold=_share(above[cold]),
        benign=_share(above[benign]),
        attack=_share(above[kind == "attack"]),
        precision=hits / max(int((above & clear).sum()), 1),
        recall=hits / int(risky.sum()),
        categories=_categories(rows, kind, above),
        calibration=tuple(_calibration(scores[clear], risky[clear])),
    )


def _share(above: NDArray[np.bool_]) -> Share:
    return Share(rows=len(above), above=float(above.mean()) if len(above) else None)


def _categories(
    rows: Sequence[Row], which: NDArray[np.str_], above: NDArray[np.bool_]
) -> dict[str, dict[str, Share]]:
    """Hot and cold by category of the mixed sources."""
    names = {
        name
        for row, kind in zip(rows, which, strict=True)
        if kind in {"hot", "cold"}
        for name in row.categories
    }
    inside = {name: np.array([name in row.categories for row in rows]) for name in sorted(names)}
    return {
        name: {kind: _share(above[(which == kind) & there]) for kind in ("hot", "cold")}
        for name, there in inside.items()
    }


def _calibration(scores: Values, risky: NDArray[np.bool_]) -> Iterable[Bin]:
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    for number in sorted(set(bins.tolist())):
        there = bins == number
        yield Bin(
            score=float(scores[there].mean()),
            hot=float(risky[there].mean()),
            rows=int(there.sum()),
        )
