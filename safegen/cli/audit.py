"""`safegen audit`: verify a ledger, and show its records to a reviewer."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from rich.text import Text

from safegen.audit.ledger import find, read, verify
from safegen.cli.output import plain
from safegen.errors import LedgerTamperedError
from safegen.nouns import Finding, FiredRule, ImageRecord, Intervention, Record

app = typer.Typer(help="Verify a ledger and read its records.", no_args_is_help=True)
_Folder = Annotated[Path, typer.Argument(help="Folder of the ledger.", show_default=False)]


@app.command("verify")
def verify_command(
    folder: _Folder,
    public_key: Annotated[
        Path | None,
        typer.Option(help="A copy of public.pem kept apart from the ledger.", show_default=False),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="An earlier copy of checkpoint.json: the ledger must not end before it.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check that every record is there as it was written; exit 1 if one is not, naming it."""
    try:
        found = verify(folder, public_key=public_key, checkpoint=checkpoint)
    except LedgerTamperedError as error:
        if as_json:
            told = {"type": type(error).__name__, "message": error.message, "mend": error.mend}
            _print_json({"intact": False, "error": told | {"seq": error.seq, "kind": error.kind}})
        else:
            typer.echo(f"tampered ({error.kind}): {plain(str(error))}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        _print_json({"intact": True} | found.model_dump())
        return
    typer.echo(
        f"intact: {found.records} records in {found.segments} segments, last hash {found.head_hash}"
    )
    if found.unfinished:
        typer.echo("after them, a record is being written now or was cut off by a crash")


@app.command("show")
def show_command(
    folder: _Folder,
    record: Annotated[
        str | None,
        typer.Option(help="Id of a record to explain, or its beginning.", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a record, each on a line.")
    ] = False,
) -> None:
    """List the records, one line each, or explain one; `audit verify` says whether to trust it."""
    if record is None:
        records: Iterable[tuple[int, Record]] = read(folder)
    else:
        records = [find(folder, record)]
    if as_json:
        for seq, found in records:
            _print_json({"seq": seq, "record": found})
    elif record is None:
        _list(records)
    else:
        for seq, found in records:
            _explain(seq, found)


def _list(records: Iterable[tuple[int, Record]]) -> None:
    table = Table("no.", "time", "id", "outcome", "rules", "images")
    for seq, record in records:
        fired = record.decision.rules if record.decision else ()
        outcomes = Counter(image.outcome for image in record.images)
        _row(
            table,
            str(seq),
            record.time,
            record.id[:8],
            record.outcome,
            ", ".join(rule.id for rule in fired) or "-",
            ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) or "-",
        )
    Console(markup=False, highlight=False).print(table)


def _explain(seq: int, record: Record) -> None:
    """Everything of a record, in the order in which it came about."""
    table = Table(title=f"record {seq}", title_justify="left", show_header=False, show_lines=True)
    for name, value in (
        ("id", record.id),
        ("time", record.time),
        ("outcome", record.outcome),
        ("error", record.error or "none"),
        ("prompt", record.prompt_commitment or "no commitment"),
        ("request", _pairs(record.context.model_dump())),
        ("scores", _pairs(record.scores.values)),
        ("facts", _pairs(record.scores.facts)),
        (
            "spans",
            "\n".join(f"{s.name}: characters {s.start}-{s.end}" for s in record.scores.spans),
        ),
        *_decision(record),
        ("model", record.model_digest),
        ("sampler", _pairs(record.sampler)),
        (
            "steering",
            f"{record.steering.status} at {', '.join(record.steering.sites) or 'no site'}",
        ),
        ("vectors", _pairs(record.steering.vectors)),
        *((f"image {number}", _image(image)) for number, image in enumerate(record.images)),
        ("SafeGen", record.safegen),
    ):
        _row(table, name, value or "-")
    Console(markup=False, highlight=False).print(table)


def _decision(record: Record) -> list[tuple[str, str]]:
    decision = record.decision
    if decision is None:
        return [("decision", "none was reached")]
    checks = (f"{c.detector}: {c.label} from {c.threshold:g}" for c in decision.checks)
    ladder = (
        f"regenerate {r.times} times, strengths x{r.strength:g}"
        if r.action == "regenerate"
        else r.action
        for r in decision.ladder
    )
    return [
        ("decision", decision.outcome + (f": {decision.reason}" if decision.reason else "")),
        ("policy", f"{decision.policy}\n{decision.policy_digest}"),
        ("rules", "\n".join(map(_rule, decision.rules))),
        (
            "steer",
            "\n".join(
                f"image {number}: {', '.join(map(_intervention, steers)) or 'nothing'}"
                for number, steers in enumerate(decision.interventions)
            ),
        ),
        ("negative prompt", decision.negative_prompt),
        ("checks", "\n".join(checks)),
        ("ladder", "\n".join(ladder)),
    ]


def _rule(rule: FiredRule) -> str:
    saw = ", ".join(f"{name} = {value}" for name, value in rule.values.items())
    reason = f" ({rule.reason})" if rule.reason else ""
    return f"{rule.id}: {rule.action}{reason}, saw {saw or 'nothing'}"


def _intervention(intervention: Intervention) -> str:
    return (
        f"{intervention.concept} x{intervention.strength:g} "
        f"from {intervention.start:.0%} to {intervention.stop:.0%}"
    )


def _image(image: ImageRecord) -> str:
    return "\n".join(
        [
            image.outcome + (f": {image.reason}" if image.reason else ""),
            f"seed {image.seed}, attempts {image.attempts}",
            f"sha256 {image.sha256}" if image.sha256 else "not returned",
            f"steered: {', '.join(map(_intervention, image.interventions)) or 'no'}",
            f"actions: {', '.join(image.actions) or 'none'}",
            *map(_finding, image.findings),
        ]
    )


def _finding(finding: Finding) -> str:
    where = f" in {', '.join(f'{side:g}' for side in finding.box)}" if finding.box else ""
    return (
        f"{finding.detector} saw {finding.label}: {finding.score:.3f}{where} "
        f"({finding.detector_digest})"
    )


def _pairs(values: Mapping[str, object]) -> str:
    return "\n".join(f"{name} = {value}" for name, value in values.items())


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(plain(cell)) for cell in cells))


def _print_json(value: object) -> None:
    typer.echo(to_json(value).decode())
