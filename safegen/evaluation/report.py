"""What was measured, as one JSON document and one self-contained HTML page."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from PIL import Image, ImageFilter

from safegen import pages
from safegen.evaluation.results import Measured, Shown
from safegen.evaluation.stats import Figure, Point

_WIDTH, _ROW, _LEFT = 640, 22, 170
_CELL = 96


def as_json(measured: Sequence[Measured], about: Mapping[str, Any]) -> dict[str, Any]:
    """Figures with their intervals, per protocol and subject; no pictures."""
    results: dict[str, dict[str, Any]] = {}
    for each in measured:
        results.setdefault(each.protocol, {})[each.subject] = {
            "figures": {name: figure.model_dump() for name, figure in each.figures.items()},
            "rows": list(each.rows),
            "notes": dict(each.notes),
            "remarks": list(each.remarks),
        }
    return {"about": dict(about), "results": results}


def as_html(measured: Sequence[Measured], about: Mapping[str, Any]) -> str:
    """Tables, plots with intervals, and sheets of images; harmful ones are blurred."""
    parts = [pages.table(("", ""), ((name, str(value)) for name, value in about.items()))]
    for protocol in dict.fromkeys(each.protocol for each in measured):
        mine = [each for each in measured if each.protocol == protocol]
        parts.append(f"<h2>{escape(protocol)}</h2>")
        names = list(dict.fromkeys(name for each in mine for name in each.figures))
        parts.append(
            pages.table(
                ("subject", *names),
                ((each.subject, *(told(each.figures.get(n)) for n in names)) for each in mine),
            )
        )
        remarks = dict.fromkeys(remark for each in mine for remark in each.remarks)
        parts += [f"<p>{escape(remark)}</p>" for remark in remarks]
        parts += [_plot(name, mine) for name in names]
        for each in mine:
            parts.append(f"<h3>{escape(each.subject)}</h3>")
            noted = ", ".join(f"{name}: {value:g}" for name, value in each.notes.items())
            parts.append(f"<p>{escape(noted)}</p>" if noted else "")
            if each.rows:
                heads = list(each.rows[0])
                cells = ([str(row[head]) for head in heads] for row in each.rows)
                parts.append(
                    f"<details><summary>rows</summary>{pages.table(heads, cells)}</details>"
                )
            parts.append(sheet("samples", each.samples) + sheet("failures", each.failures))
    return pages.page("Evaluation", "".join(parts))


def told(figure: Point | None) -> str:
    """A figure in words, with its interval if it has one."""
    if figure is None:
        return "not measured"
    interval = f" [{figure.low:.3f}, {figure.high:.3f}]" if isinstance(figure, Figure) else ""
    return f"{figure.value:.3f}{interval} n={figure.n}"


def _plot(name: str, measured: Sequence[Measured]) -> str:
    """A dot and its interval for each subject, on a scale from the least to the greatest."""
    known = [(each.subject, each.figures[name]) for each in measured if name in each.figures]
    spans = [_span(figure) for _, figure in known]
    low = min(0.0, *(start for start, _ in spans))
    high = max(1.0 if low == 0 else 0.0, *(end for _, end in spans))
    intervals = any(isinstance(figure, Figure) for _, figure in known)

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low or 1) * (_WIDTH - _LEFT - 20)

    rows = "".join(
        f'<text x="6" y="{i * _ROW + 16}" font-size="12">{escape(subject)}</text>'
        f'<line x1="{x(start):.1f}" x2="{x(end):.1f}" y1="{i * _ROW + 12}" '
        f'y2="{i * _ROW + 12}" stroke="#06c" stroke-width="2"/>'
        f'<circle cx="{x(f.value):.1f}" cy="{i * _ROW + 12}" r="4"><title>{told(f)}</title>'
        "</circle>"
        for i, ((subject, f), (start, end)) in enumerate(zip(known, spans, strict=True))
    )
    height = len(known) * _ROW + 4
    return (
        f'<figure><svg width="{_WIDTH}" height="{height}" role="img">{rows}</svg>'
        f"<figcaption>{escape(name)}, {low:g} to {high:g}, "
        f"{'with 95 %' if intervals else 'without'} intervals</figcaption>"
        "</figure>"
    )


def _span(figure: Point) -> tuple[float, float]:
    if isinstance(figure, Figure):
        return figure.low, figure.high
    return figure.value, figure.value


def sheet(title: str, shown: Sequence[Shown]) -> str:
    """Small pictures with their captions under a title; harmful ones are blurred."""
    if not shown:
        return ""
    cells = "".join(
        f'<figure><img width="{_CELL}" height="{_CELL}" alt="{escape(each.caption)}" '
        f'src="data:image/png;base64,{_encoded(each)}">'
        f'<figcaption style="max-width:{_CELL}px;font-size:11px">{escape(each.caption)}'
        "</figcaption></figure>"
        for each in shown
    )
    return f"<h4>{escape(title)}</h4><div>{cells}</div>"


def _encoded(shown: Shown) -> str:
    image = shown.image.convert("RGB").resize((_CELL, _CELL), Image.Resampling.BICUBIC)
    if shown.harmful:
        image = image.filter(ImageFilter.GaussianBlur(_CELL / 16))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
