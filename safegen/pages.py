"""Pieces of the self-contained HTML pages that reports are: nothing is loaded from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

BODY = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
REPORT = (
    f"{BODY}table{{border-collapse:collapse;margin:1rem 0}}"
    "td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ccc}"
    "td:first-child,th:first-child{text-align:left}"
    "svg{border:1px solid #ccc;background:#fff}figure{display:inline-block;margin:0 1rem 1rem 0}"
)
LOADS_NOTHING = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
)
"""For the head of a page with what others wrote: a browser loads nothing that it names."""


_START = "<!doctype html>"


def page(title: str, body: str, style: str = REPORT, head: str = "") -> str:
    """A page: its title is plain text, the body HTML, `style` CSS, `head` further elements."""
    return (
        f'{_START}<html lang="en"><meta charset="utf-8">{head}'
        f"<title>{escape(title)}</title><style>{style}</style><h1>{escape(title)}</h1>{body}"
        "</html>\n"
    )


def is_page(path: Path) -> bool:
    """Whether a file begins as a page does."""
    with path.open("rb") as file:
        return file.read(len(_START)) == _START.encode()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts."""
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"
