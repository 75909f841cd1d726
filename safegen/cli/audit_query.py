"""`safegen audit query`, `show` and `stats`: what reviewers and auditors ask of a ledger."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from safegen import pages
from safegen.audit import plot
from safegen.audit.erase import finish
from safegen.audit.explain import Section, erased_fields, explained
from safegen.audit.filters import Filters
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.ledger.masking import revealed
from safegen.audit.people import User
from safegen.audit.row import Row
from safegen.audit.search import every
from safegen.audit.sheet import csv_lines
from safegen.audit.trends import STEPS, Trends, trends
from safegen.cli.audit_options import (
    Folder,
    IndexFile,
    Key,
    Since,
    Subjects,
    Until,
    fill,
    filtered,
    opened,
    operator,
    print_json,
)
from safegen.cli.models import Json, known
from safegen.files import write_file
from safegen.nouns import Record


@filtered
def query_command(
    folder: Folder,
    filters: Filters,
    whose: User | None,
    limit: Annotated[int, typer.Option(min=0, help="The most records, the newest; 0: all.")] = 100,
    key: Key = None,
    index: IndexFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a record, each on a line.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """List the records that fit, newest first.

    Each of them was signed. That none is missing only `audit export` proves: whoever can write the
    index can hide some.
    """
    with opened(folder, index) as records:
        if whose:
            filters = whose.narrow(records, filters)
        rows = (records.record(row.seq) for row in _newest(records, filters, limit))
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
            table.caption = "as the index has them: `audit export` proves that none is missing"
            Console(markup=False, highlight=False).print(table)


def show_command(
    folder: Folder,
    record_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="Of a record, or its beginning.", show_default=False),
    ],
    reveal: Annotated[
        bool,
        typer.Option(
            "--reveal", help="Decrypt what it keeps encrypted; the ledger says first who reads it."
        ),
    ] = False,
    key: Key = None,
    subjects: Subjects = None,
    index: IndexFile = None,
    as_json: Json = False,
) -> None:
    """Explain one record: what was asked, seen, decided, done, and what reviewers made of it."""
    read: dict[str, str] = {}
    with opened(folder, index) as records:
        row, record = records.record(records.find(record_id, for_good=reveal))
        if reveal:
            with Ledger.open(folder, key=key, subjects=subjects) as ledger:
                finish(ledger, records)
                events = [event for _, event in records.events_about(record.id)]
                erased = next(iter(erased_fields(record, events).values()), "")
                read = revealed(record, ledger, actor=operator(), erased=erased)
            records.update()
        events = [event for _, event in records.events_about(record.id)]
    if as_json:
        told = {"seq": row.seq, "state": row.state, "record": record, "events": events}
        gone = {"erased": erased_fields(record, events)}
        print_json(told | gone | ({"revealed": read} if reveal else {}))
        return
    sections = explained(record, events)
    if read:
        lines = tuple(f"{field}: {text}" for field, text in read.items())
        sections.append(Section("Revealed", lines))
    _print(row.seq, sections)


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
    """Count outcomes and rules over time, and what reviewers overturned of each rule.

    The counts are those of the index, which proves nothing.
    """
    [step] = known("step", [by], STEPS)
    with opened(folder, index) as records:
        found = trends(records, Filters.parse(since=since, until=until), STEPS[step])
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


def _newest(records: Index, filters: Filters, limit: int) -> Iterator[Row]:
    """So many records, the newest; all for 0. Says so where there are more."""
    for number, row in enumerate(every(records, filters, limit=limit + 1 if limit else None)):
        if limit and number == limit:
            typer.echo(f"these are the newest {limit}, and more records fit: --limit 0", err=True)
            return
        yield row


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


def _print(seq: int, sections: Sequence[Section]) -> None:
    table = Table(title=f"record {seq}", title_justify="left", show_header=False, show_lines=True)
    for section in sections:
        fill(table, section.title, "\n".join(section.lines))
    Console(markup=False, highlight=False).print(table)


def _page(found: Trends) -> str:
    body = f"<p>{found.requests} requests</p>{''.join(found.plots())}"
    return pages.page("Trends", body, pages.BODY + plot.STYLE)
