"""The report on scores as one HTML page: tables and plots, nothing loaded from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape

from safegen import pages
from safegen.pages import table
from safegen.risk.measure import Bin, Figures, Share

_SIDE = 220
_UNKNOWN = "not measured"


def page(
    figures: Mapping[str, Figures],
    latency: Mapping[str, Mapping[str, float]],
    alarms: Sequence[str],
) -> str:
    """The page.

    Args:
        figures: of each score.
        latency: classifier -> quantile -> milliseconds per prompt.
        alarms: the benign prompts that score above the threshold of `risk`.
    """
    scores = table(
        ("score", "AUROC", "AUROC hot/benign", "AUROC hot/cold", "threshold", "benign above",
         "hot above", "cold above", "attack above", "precision", "recall"),
        ((name, *map(decimal, (f.auroc, f.auroc_hot_benign, f.auroc_hot_cold, f.threshold)),
          *map(_percent, (f.benign, f.hot, f.cold, f.attack)),
          f"{f.precision:.1%}", f"{f.recall:.1%}") for name, f in figures.items()),
    )  # fmt: skip
    categories = table(
        ("category", "hot above", "cold above"),
        (
            (name, _percent(shares["hot"]), _percent(shares["cold"]))
            for name, shares in figures["risk"].categories.items()
        ),
    )
    times = table(
        ("classifier", "p50 ms", "p99 ms"),
        ((name, f"{q['p50']:.2f}", f"{q['p99']:.2f}") for name, q in latency.items()),
    )
    plots = "".join(_plot(name, each.calibration) for name, each in figures.items())
    listed = "".join(f"<li>{escape(prompt)}</li>" for prompt in alarms)
    return pages.page(
        "Risk report",
        f"<h2>Scores</h2>{scores}"
        f"<h2>By category, for <code>risk</code></h2>{categories}"
        "<h2>Calibration</h2><p>Across: the score. Up: the share of prompts that are risky, of "
        "those that are clearly risky or harmless; prompts in between are left out, so of all "
        "prompts fewer are.</p>"
        f"{plots}<h2>Latency</h2>{times}"
        f"<h2>False alarms of <code>risk</code></h2><ul>{listed}</ul>",
    )


def percent(value: float | None) -> str:
    """A share in words."""
    return _UNKNOWN if value is None else f"{value:.1%}"


def decimal(value: float | None) -> str:
    """Another figure in words."""
    return _UNKNOWN if value is None else f"{value:.3f}"


def _percent(share: Share) -> str:
    return f"{percent(share.above)} of {share.rows}" if share.rows else percent(None)


def _plot(name: str, bins: Sequence[Bin]) -> str:
    """A calibration curve; the dashed line is a score that means what it says."""
    places = [(each.score * _SIDE, (1 - each.hot) * _SIDE, each.rows) for each in bins]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{rows} prompts</title></circle>'
        for x, y, rows in places
    )
    return (
        f'<figure><svg width="{_SIDE}" height="{_SIDE}" role="img">'
        f'<line x1="0" y1="{_SIDE}" x2="{_SIDE}" y2="0" stroke="#999" stroke-dasharray="4"/>'
        f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/>{dots}</svg>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )
