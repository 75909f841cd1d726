"""`safegen docs`: the pages of the documentation, as they are for the installed version."""

import json
import re
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, NamedTuple

import typer
from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from safegen.cli.models import Json
from safegen.errors import InputError, did_you_mean


class _Heading(NamedTuple):
    anchor: str
    title: str
    level: int
    line: int


def docs(
    page: Annotated[
        str | None, typer.Argument(help="a page, or PAGE#HEADING for a part of it")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a page of the documentation, or the list of all pages.

    In a terminal it is laid out; elsewhere it is the Markdown.
    """
    pages = _pages()
    if page is None:
        listed = {name: _headings(text)[0].title for name, text in pages.items()}
        if as_json:
            typer.echo(json.dumps(listed))
            return
        table = Table("page", "about", box=None)
        for name, title in listed.items():
            table.add_row(name, title)
        Console().print(table)
        return
    name, _, anchor = page.removeprefix("docs/").partition("#")
    name = name.removesuffix(".md")
    if name not in pages:
        raise InputError(f"no page {name!r}", did_you_mean(name, pages))
    text = _part(pages[name], name, anchor) if anchor else pages[name]
    console = Console()
    if as_json:
        typer.echo(json.dumps({"page": name, "heading": anchor or None, "text": text}))
    elif console.is_terminal:
        console.print(Markdown(text))
    else:
        typer.echo(text, nl=False)


def _pages() -> dict[str, str]:
    """The text of every page by its name."""
    found = {
        page.name.removesuffix(".md"): page.read_text(encoding="utf-8")
        for page in files("safegen.docs").iterdir()
        if page.name.endswith(".md")
    }
    return dict(sorted(found.items()))


def _headings(text: str) -> list[_Heading]:
    """All headings with the anchors that links on the web call them by."""
    tokens = MarkdownIt().parse(text)
    found: list[_Heading] = []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.map and inline.children is not None:
            title = "".join(each.content for each in inline.children)
            anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
            level = int(opening.tag.removeprefix("h"))
            found.append(_Heading(anchor, title, level, opening.map[0]))
    return found


def _part(text: str, page: str, anchor: str) -> str:
    """The text from a heading to the next one of its level or above."""
    headings = _headings(text)
    at = next((i for i, each in enumerate(headings) if each.anchor == anchor), None)
    if at is None:
        known = [each.anchor for each in headings]
        raise InputError(f"no heading {anchor!r} in {page}", did_you_mean(anchor, known))
    lines = text.splitlines(keepends=True)
    ends = (each.line for each in headings[at + 1 :] if each.level <= headings[at].level)
    return "".join(lines[headings[at].line : next(ends, len(lines))]).rstrip() + "\n"
