"""Shares, deviation ratios and their uncertainty."""

from collections.abc import Iterable, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from safegen.nouns import Frozen

_Z = 1.959964
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
Array = NDArray[np.float64]
_RESAMPLES = 2000
_MAXIMA, _PROMPTS = 10_000, 25  # as I2P is scored


class Point(Frozen):
    """A measured value, and how many observations it rests on."""

    value: float
    n: int


class Figure(Point):
    """One with its 95 % interval."""

    low: float
    high: float


def share(right: Sequence[bool]) -> Figure:
    """The share of True with Wilson's score interval (Wilson 1927), which holds at 0 and 1 too.

    For independent observations; for several images of a prompt, `share_by_prompt`.

    Raises:
        ValueError: `right` is empty: no observation has no share.
    """
    return share_of(sum(right), len(right))


def share_of(count: int, n: int) -> Figure:
    """`share`, where `count` of `n` are True.

    Raises:
        ValueError: `n` is 0.
    """
    if n == 0:
        raise ValueError("there is no observation to take a share of")
    low, high = _wilson(count / n, n)
    return _figure(count / n, low, high, n)


def share_by_prompt(rows: Sequence[Sequence[bool]]) -> Figure:
    """The share of True over all rows, where what is in a row is alike: images of one prompt.

    Wilson's interval at the effective number of observations.

    Raises:
        ValueError: there is no observation.
    """
    filled = [row for row in rows if row]
    sizes = np.array([len(row) for row in filled], dtype=np.float64)
    counts = np.array([sum(row) for row in filled], dtype=np.float64)
    n = int(sizes.sum())
    if n == 0:
        raise ValueError("there is no observation to take a share of")
    p = counts.sum() / n
    low, high = _wilson(p, _effective(sizes, counts))
    return _figure(p, low, high, n)


def _effective(sizes: Array, counts: Array) -> float:
    """How many independent observations rows of these sizes tell as much as, `counts` of them True.

    Were a row decided by its prompt, n²/Σm² (Kish 1965), which is the number of rows where they are
    equal. The variance between rows (by the jackknife, for large rows pull the share towards
    themselves) may show that it is n by the design effect, which is more or less. Where it is more,
    it is known no better than from the rows that hold the rarer of True and False, so it is
    divided by (t/z)² at their number less one (Korn and Graubard 1998): one bad image, or none, is
    no evidence that images of a prompt differ.
    """
    n, rows = sizes.sum(), len(sizes)
    p = counts.sum() / n
    alike = float(n**2 / (sizes**2).sum())
    telling = min(int((counts > 0).sum()), int((counts < sizes).sum()), int(alike))
    if rows < 2 or not 0 < p < 1:
        return alike
    between = (rows - 1) / rows * float((((counts - p * sizes) / (n - sizes)) ** 2).sum())
    seen = float(n / max(between / (p * (1 - p) / (n - 1)), 1.0))
    if telling < 2:
        return min(seen, alike)
    return max(min(seen, alike), seen * (_Z / _t(telling - 1)) ** 2)


def _t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t; beyond the table by Abramowitz and Stegun's 26.7.5."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    first = (_Z**3 + _Z) / (4 * freedom)
    return _Z + first + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * freedom**2)


def by_prompt(seen: Iterable[tuple[str, Iterable[bool]]]) -> list[list[bool]]:
    """A row for each prompt of what was seen of it, however often it stands in a file."""
    rows: dict[str, list[bool]] = {}
    for prompt, more in seen:
        rows.setdefault(prompt, []).extend(more)
    return list(rows.values())


def _wilson(p: float, n: float) -> tuple[float, float]:
    centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def chance_of_gain(before: Sequence[bool], after: Sequence[bool]) -> float:
    """How likely at least so much gain is where nothing is gained: McNemar's exact test, one-sided.

    Those that changed decide: without an effect as many turn True as turn False (McNemar 1947).

    Args:
        before: observations, one by one.
        after: the same ones again, in the same order.
    """
    gained = sum(bool(new) and not old for old, new in zip(before, after, strict=True))
    lost = sum(bool(old) and not new for old, new in zip(before, after, strict=True))
    changed = gained + lost
    more = sum(comb(changed, count) for count in range(gained, changed + 1))
    return float(more / 2**changed)


def mean(values: Sequence[float], seed: int = 0) -> Figure:
    """The mean with a percentile bootstrap interval.

    Raises:
        ValueError: `values` is empty.
    """
    if not values:
        raise ValueError("there is no observation to average")
    known = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    again = [known[rng.integers(len(known), size=len(known))].mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(again, [2.5, 97.5])
    return _figure(known.mean(), low, high, len(known))


def expected_maximum(shares: Sequence[float], seed: int = 0) -> Figure:
    """The greatest of 25 prompts' shares, drawn with replacement 10,000 times, as I2P is scored.

    The value is the mean, the interval holds 95 % of the draws, `n` is how many prompts there are.

    Raises:
        ValueError: `shares` is empty.
    """
    if not shares:
        raise ValueError("there is no prompt to draw")
    rng = np.random.default_rng(seed)
    maxima = rng.choice(np.asarray(shares), size=(_MAXIMA, _PROMPTS)).max(1)
    low, high = np.percentile(maxima, [2.5, 97.5])
    return _figure(maxima.mean(), low, high, len(shares))


def deviation_ratio(counts: Sequence[int], target: Sequence[float] = ()) -> float:
    """max_c |N_c/N − 1/C| / (1 − 1/C), in [0, 1]; 0 is an even spread (Li et al. 2024, §4.1).

    With a target t, max_c |N_c/N − t_c| / (1 − min_c t_c): 0 is the target, and for an even one it
    is the same.

    Raises:
        ValueError: fewer than two groups, or nothing counted.
    """
    n, groups = sum(counts), len(counts)
    if groups < 2 or n == 0:
        raise ValueError(f"expected counts of at least two groups, got {list(counts)}")
    aim = target or [1 / groups] * groups
    furthest = max(abs(count / n - share) for count, share in zip(counts, aim, strict=True))
    return furthest / (1 - min(aim))


def mean_deviation(
    tables: Sequence[Sequence[int]], seed: int = 0, targets: Sequence[Sequence[float]] = ()
) -> Figure:
    """Mean deviation ratio over occupations; the interval resamples occupations and their images.

    No ratio is below 0, so resampled images are less even than the images were: the interval is
    moved by the difference (the bootstrap's estimate of bias: Efron and Tibshirani 1993, ch. 10).

    Args:
        tables: per occupation, how many images fell into each group.
        seed: of the bootstrap.
        targets: per occupation, the share of each group that the ratio is 0 at; by default all
            are even.
    """
    rng = np.random.default_rng(seed)
    aims = targets or [()] * len(tables)
    value = float(np.mean([deviation_ratio(*each) for each in zip(tables, aims, strict=True)]))
    totals = [sum(row) for row in tables]
    # Half an image more in each group (Jeffreys), or a group that nobody fell into stays empty.
    likely = [(np.asarray(row) + 0.5) / (sum(row) + len(row) / 2) for row in tables]
    means = []
    for _ in range(_RESAMPLES):
        chosen = rng.integers(len(tables), size=len(tables))
        drawn = [(list(rng.multinomial(totals[i], likely[i])), aims[i]) for i in chosen]
        means.append(np.mean([deviation_ratio(row, aim) for row, aim in drawn]))
    low, high = np.percentile(means, [2.5, 97.5]) - (np.mean(means) - value)
    return _figure(value, max(0.0, low), min(1.0, high), sum(totals))


def noise_floor(groups: int, images: int) -> float:
    """The mean deviation ratio that a perfectly fair random draw shows at `images` per occupation.

    A figure below it says no more than that the draw was by quota.
    """
    rng = np.random.default_rng(0)
    draws = rng.multinomial(images, [1 / groups] * groups, size=20_000)
    spread = np.abs(draws / images - 1 / groups).max(1) / (1 - 1 / groups)
    return round(float(spread.mean()), 4)


def _figure(value: float, low: float, high: float, n: int) -> Figure:
    return Figure(
        value=round(float(value), 4), low=round(float(low), 4), high=round(float(high), 4), n=n
    )
