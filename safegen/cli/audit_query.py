"""`safegen audit query`, `show` and `stats`: what reviewers and auditors ask of a ledger."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from safegen import pages
from safegen.audit import plot
from safegen.audit.explain import explained
from safegen.audit.filters import Filters
from safegen.audit.search import every
from safegen.audit.sheet import csv_lines
from safegen.audit.trends import STEPS, Trends, trends
from safegen.cli.audit_options import (
    Folder,
    IndexFile,
    Json,
    Since,
    Until,
    fill,
    filtered,
    opened,
    print_json,
)
from safegen.cli.output import write_file
from safegen.errors import InputError
from safegen.nouns import Event, Record


@filtered
def query_command(
    folder: Folder,
    filters: Filters,
    limit: Annotated[int, typer.Option(min=0, help="The most records, the newest; 0: all.")] = 100,
    index: IndexFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a record, each on a line.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """List the records that fit, newest first; `audit verify` says whether to trust them."""
    with opened(folder, index) as known:
        rows = (known.record(row.seq) for row in every(known, filters, limit=limit or None))
        if as_json:
            for row, record in rows:
                print_json({"seq": row.seq, "state": row.state, "record": record})
        elif as_csv:
            for text in csv_lines((row.seq, record, row.state) for row, record in rows):
                typer.echo(text, nl=False)
        else:
            table = Table("no.", "time", "id", "outcome", "tenant", "rules", "images", "state")
            for row, record in rows:
                fill(table, str(row.seq), *_cells(record), row.state)
            Console(markup=False, highlight=False).print(table)


def show_command(
    folder: Folder,
    record_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="Of a record, or its beginning.", show_default=False),
    ],
    index: IndexFile = None,
    as_json: Json = False,
) -> None:
    """Explain one record: what was asked, seen, decided, done, and what reviewers made of it."""
    with opened(folder, index) as known:
        row, record = known.record(known.find(record_id))
        events = [event for _, event in known.events_about(record.id)]
    if as_json:
        print_json({"seq": row.seq, "state": row.state, "record": record, "events": events})
        return
    _explain(row.seq, record, events)


def stats_command(
    folder: Folder,
    since: Since = "",
    until: Until = "",
    by: Annotated[str, typer.Option(help="hour, day or week: the step of time.")] = "day",
    html: Annotated[
        Path | None, typer.Option(help="Also write them as a web page.", show_default=False)
    ] = None,
    index: IndexFile = None,
    as_json: Json = False,
) -> None:
    """Count outcomes and rules over time, and what reviewers overturned of each rule."""
    if by not in STEPS:
        raise InputError(f"there is no step {by!r}", f"give one of {', '.join(STEPS)}")
    with opened(folder, index) as known:
        found = trends(known, Filters.parse(since=since, until=until), STEPS[by])
    if html is not None:
        write_file(html, _page(found).encode())
    if as_json:
        print_json(found)
        return
    console = Console(markup=False, highlight=False)
    table = Table("outcome", "requests", "share", "over time")
    for name, count in found.outcomes.items():
        over = plot.line([step.outcomes.get(name, 0) for step in found.steps])
        fill(table, name, str(count), f"{count / found.requests:.1%}", over)
    console.print(table)
    table = Table("rule", "fired", "share", "over time", "overturned")
    reviewed = {each.rule: each for each in found.verdicts}
    for name, count in found.rules.items():
        over = plot.line([step.rules.get(name, 0) for step in found.steps])
        said = reviewed.get(name)
        told = f"{said.overturned} of {said.upheld + said.overturned}" if said else "-"
        fill(table, name, str(count), f"{count / found.requests:.1%}", over, told)
    console.print(table)


def _cells(record: Record) -> tuple[str, ...]:
    fired = record.decision.rules if record.decision else ()
    outcomes = [image.outcome for image in record.images]
    told = (f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
    return (
        record.time,
        record.id[:8],
        record.outcome,
        record.context.tenant or "-",
        ", ".join(rule.id for rule in fired) or "-",
        ", ".join(told) or "-",
    )


def _explain(seq: int, record: Record, events: list[Event]) -> None:
    table = Table(title=f"record {seq}", title_justify="left", show_header=False, show_lines=True)
    for section in explained(record, events):
        fill(table, section.title, "\n".join(section.lines))
    Console(markup=False, highlight=False).print(table)


def _page(found: Trends) -> str:
    body = f"<p>{found.requests} requests</p>{''.join(found.plots())}"
    return pages.page("Trends", body, pages.BODY + plot.STYLE)
