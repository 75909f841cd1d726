"""`safegen policy diff` and `replay`: what another policy would change."""

from html import escape
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from safegen import pages
from safegen.audit.ledger import read
from safegen.audit.text import plain
from safegen.cli.models import Json, ModelOption, for_model
from safegen.files import write_file
from safegen.nouns import Frozen
from safegen.policy import Policy
from safegen.policy.compare import Comparison, Example
from safegen.policy.diff import diff
from safegen.policy.replay import Replay, Tally, replay
from safegen.policy.sections import Setting
from safegen.risk.data import read_prompts

_Html = Annotated[
    Path | None,
    typer.Option("--html", help="Also write the report as a web page.", show_default=False),
]
_SOURCES = {"tests": "prompts of their tests", "grid": "grid points"}
_NAMES = 8  # told of what was not recorded; JSON has all
_LONG = 300  # characters of a setting; JSON has all
_STYLE = (
    f"{pages.BODY}body{{max-width:70rem}}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ccc;padding:.4rem;text-align:left;vertical-align:top}"
    "td:nth-child(4){text-align:right}small{color:#555;display:block}code{word-break:break-all}"
)


def diff_command(
    old: Annotated[str, typer.Argument(help="A YAML file, or a shipped pack.")],
    new: Annotated[str, typer.Argument(help="Another.")],
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Further prompts: CSV with a column `prompt`, or one a line.", show_default=False
        ),
    ] = None,
    html: _Html = None,
    model: ModelOption = None,
    as_json: Json = False,
) -> None:
    """Say what flips from what to what: over the policies' tests, prompts, and a grid of values."""
    lines = read_prompts(prompts) if prompts else ()
    before, after = (for_model(Policy.load(each), model) for each in (old, new))
    found = diff(before, after, lines)
    notes = [f"{len(found.settings)} settings beside the rules differ"]
    if found.unsure:
        notes.append(f"tried at no more than a sample of their values: {', '.join(found.unsure)}")
    _report(found, notes, html, found if as_json else None)


def replay_command(
    ledger: Annotated[Path, typer.Argument(help="Folder of a ledger.", show_default=False)],
    candidate: Annotated[
        str, typer.Option(help="The policy to try: a YAML file, or a shipped pack.")
    ],
    html: _Html = None,
    as_json: Json = False,
) -> None:
    """Decide anew about the requests of a ledger, and say what would have come out differently."""
    found = replay((record for _, record in read(ledger)), Policy.load(candidate))
    notes = _notes(found)
    _report(found.comparison, notes, html, found if as_json else None)


def _notes(found: Replay) -> list[str]:
    """What the counts leave out, then what decided, then what the counts rest on."""
    diff_tells = "does not show here, see `safegen policy diff`"
    left_out = [
        (
            found.untold.records,
            "left out: what would come of them cannot be told, for there was not recorded: "
            f"{_names(found.untold)}",
        ),
        (found.undecided, "left out: no decision was reached when they were recorded"),
        (found.bypassed, "left out: the guard was bypassed, and would be again"),
    ]
    told = [
        (found.failed, "ended as an error after the decision, which is what is compared"),
        (
            found.rescored.records,
            "were scored by other lists or classifiers than the candidate's; what that changes "
            f"{diff_tells}: {_names(found.rescored)}",
        ),
        (
            found.redrawn.records,
            "drew what the candidate could have drawn; another target or mode "
            f"{diff_tells}: {_names(found.redrawn)}",
        ),
    ]
    decided = [(count, f"decided by {policy}") for policy, count in found.policies.items()]
    return [f"{count} {what}" for count, what in (*left_out, *decided, *told) if count]


def _names(tally: Tally) -> str:
    told = [f"{name} ({count})" for name, count in tally.names.items()]
    more = [f"{len(told) - _NAMES} more"] if len(told) > _NAMES else []
    return ", ".join([*told[:_NAMES], *more])


def _report(found: Comparison, notes: list[str], html: Path | None, as_json: Frozen | None) -> None:
    if html is not None:
        write_file(html, _page(found, notes).encode())
    if as_json is not None:
        typer.echo(as_json.model_dump_json())
        return
    for line in (*_summary(found), *notes):
        typer.echo(line)
    if found.changes or found.settings:
        table = Table("about", "before", "after", "count", "for example")
        for change in found.changes:
            example = change.examples[0].name if change.examples else ""
            cells = (change.about, change.before, change.after, str(change.count), example)
            table.add_row(*(Text(plain(cell)) for cell in cells))
        for setting in found.settings:
            table.add_row(*(Text(plain(_cut(cell))) for cell in _cells(setting)))
        Console(markup=False, highlight=False).print(table)


def _cells(setting: Setting) -> tuple[str, str, str]:
    return setting.name, setting.before, setting.after


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]} …"


def _summary(found: Comparison) -> list[str]:
    counts = [
        f"{found.changed.get(each, 0)} of {count} {_SOURCES.get(each, each)} come out differently"
        for each, count in found.compared.items()
    ]
    counts = counts or ["nothing was compared"]
    return [f"before: {found.before}", f"after: {found.after}", *counts]


def _page(found: Comparison, notes: list[str]) -> str:
    rows = [
        "<tr>"
        + "".join(f"<td>{escape(plain(cell))}</td>" for cell in (c.about, c.before, c.after))
        + f"<td>{c.count}</td><td>{''.join(map(_example, c.examples))}</td></tr>"
        for c in found.changes
    ]
    rows += [
        "<tr>"
        + "".join(f"<td>{escape(plain(_cut(cell)))}</td>" for cell in _cells(setting))
        + "<td></td><td></td></tr>"
        for setting in found.settings
    ]
    head = "".join(f"<th>{name}</th>" for name in ("about", "before", "after", "count", "examples"))
    body = (
        f"<table><tr>{head}</tr>{''.join(rows)}</table>"
        if rows
        else "<p>Nothing that was compared comes out differently.</p>"
        if found.compared
        else ""
    )
    said = "".join(f"<p><code>{escape(line)}</code></p>" for line in (*_summary(found), *notes))
    return pages.page("What the policy changes", f"{said}{body}", _STYLE)


def _example(example: Example) -> str:
    rules = (
        f"{', '.join(example.rules_before) or 'none'} → {', '.join(example.rules_after) or 'none'}"
    )
    said = [f"{name} = {value:g}" for name, value in example.scores.items()] + [*example.facts]
    context = example.context.model_dump(exclude_defaults=True)
    said += [f"{name} = {value}" for name, value in context.items()]
    return (
        f"<p>{escape(plain(example.name))}<small>rules: {escape(rules)}</small>"
        f"<small>{escape(plain(', '.join(said)))}</small></p>"
    )
