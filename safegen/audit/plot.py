"""Bars over time, stacked: as SVG for pages that load nothing, and as a line of characters.

Colours are attributes, not styles, so that a strict Content-Security-Policy lets them through.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

# Told apart by people who confuse colours (Okabe and Ito), and dark enough on white.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#5c5c5c", "#a98600")
_OUTCOMES = {
    "allowed": "#009e73", "steered": "#0072b2", "bypassed": "#cc79a7", "review": "#e69f00",
    "blocked": "#d55e00", "error": "#5c5c5c", "altered": "#56b4e9",
}  # fmt: skip
STYLE = (
    ".legend{display:flex;flex-wrap:wrap;gap:1rem;list-style:none;padding:0}figure{margin:1rem 0}"
)
"""CSS for the pages that `bars` stands on."""
_WIDTH, _HEIGHT, _LEFT, _BELOW, _GAP = 720, 200, 56, 24, 1
_BLOCKS = " ▁▂▃▄▅▆▇█"


def bars(title: str, steps: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """An SVG with a bar for each step, in which the series stand on one another, and a legend."""
    highest = max((sum(column) for column in zip(*series.values(), strict=True)), default=0) or 1
    wide = (_WIDTH - _LEFT) / max(len(steps), 1)
    tops = [0.0] * len(steps)
    drawn = []
    for name, values in series.items():
        for i, value in enumerate(values):
            if not value:
                continue
            tall = value / highest * _HEIGHT
            tops[i] += tall
            drawn.append(
                f'<rect x="{_LEFT + i * wide:.2f}" y="{_HEIGHT - tops[i] + 8:.2f}" '
                f'width="{max(wide - _GAP, 0.5):.2f}" height="{tall:.2f}" '
                f'fill="{_colour(name, series)}"><title>{escape(steps[i])}, {escape(name)}: '
                f"{value:g}</title></rect>"
            )
    label = (
        f'<text x="{_LEFT - 6}" y="16" text-anchor="end">{highest:g}</text>'
        f'<text x="{_LEFT - 6}" y="{_HEIGHT + 8}" text-anchor="end">0</text>'
    )
    if steps:
        below = _HEIGHT + _BELOW
        label += f'<text x="{_LEFT}" y="{below}">{escape(steps[0])}</text>'
        if len(steps) > 1:
            label += f'<text x="{_WIDTH}" y="{below}" text-anchor="end">{escape(steps[-1])}</text>'
    legend = "".join(
        '<li><svg width="12" height="12" aria-hidden="true"><rect width="12" height="12" '
        f'fill="{_colour(name, series)}"/></svg> {escape(name)}</li>'
        for name in series
    )
    return (
        f'<figure class="plot"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 32}" role="img" aria-label="{escape(title)}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        f'<line x1="{_LEFT}" y1="{_HEIGHT + 8.5}" x2="{_WIDTH}" y2="{_HEIGHT + 8.5}" '
        f'stroke="#999"/>{"".join(drawn)}{label}</svg><ul class="legend">{legend}</ul></figure>'
    )


def line(values: Sequence[float]) -> str:
    """A bar of eight heights for each value; nothing is drawn for 0 alone."""
    highest = max(values, default=0) or 1
    return "".join(_BLOCKS[math.ceil(value * 8 / highest)] for value in values)


def _colour(name: str, series: Mapping[str, object]) -> str:
    return _OUTCOMES.get(name) or _COLOURS[list(series).index(name) % len(_COLOURS)]
