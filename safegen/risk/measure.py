"""How good scores are: figures against labelled prompts, from the rows and one score for each."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from safegen.errors import InputError, MissingExtraError
from safegen.nouns import Frozen
from safegen.risk.data import Row

Values = NDArray[np.float64]
_BINS = 10


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
    `false_alarms` of the benign rows pass.
    """

    auroc_hot_benign: float
    auroc_hot_cold: float
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
    """Of each row: benign, hot, cold, attack, or "" for those in between."""
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


def measure(rows: Sequence[Row], values: Sequence[float], false_alarms: float = 0.02) -> Figures:
    """The figures of one score.

    Raises:
        InputError: there are no benign, hot or cold rows to measure on.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "risk", "measuring classifiers") from error
    scores: Values = np.asarray(values, dtype=np.float64)
    which = np.array(kinds(rows))
    if lacking := [kind for kind in ("benign", "hot", "cold") if kind not in which]:
        raise InputError(
            f"expected benign, hot and cold rows, found none that are {lacking[0]}",
            "give harmless files as FILE=0 and a file with both as FILE=COLUMN",
        )
    threshold = float(np.quantile(scores[which == "benign"], 1 - false_alarms))
    above = scores > threshold

    def against(kind: str) -> float:
        both = np.isin(which, ["hot", kind])
        return float(roc_auc_score(which[both] == "hot", scores[both]))

    clear = which != ""
    risky = np.isin(which, ["hot", "attack"])
    hits = int((above & risky).sum())
    return Figures(
        auroc_hot_benign=against("benign"),
        auroc_hot_cold=against("cold"),
        false_alarms=false_alarms,
        threshold=threshold,
        hot=_share(above[which == "hot"]),
        cold=_share(above[which == "cold"]),
        benign=_share(above[which == "benign"]),
        attack=_share(above[which == "attack"]),
        precision=hits / max(int((above & clear).sum()), 1),
        recall=hits / int(risky.sum()),
        categories=_categories(rows, which, above),
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
