"""`safegen audit scan`: judge every image of an archive."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from safegen.audit.review.acts import Acts
from safegen.audit.scan import SHEET, Progress, Summary, scan
from safegen.cli.audit_options import fill, operator, print_json
from safegen.cli.models import Json, bar, choice
from safegen.cluster import ENGINES
from safegen.evaluation.attributes import DETECTOR, AttributeCounts, Attributes

FLAGGED, NOT_LOOKED_AT = 1, 3


def scan_command(
    where: Annotated[
        str,
        typer.Argument(
            metavar="PATH|GLOB|PARQUET",
            help="A folder, a file, a Parquet table, or a pattern in quotes: 'archive/**/*.png'.",
            show_default=False,
        ),
    ],
    policy: Annotated[
        str, typer.Option(help="By whose checks: a YAML file, a bundle, or a shipped pack.")
    ] = "default",
    out: Annotated[Path, typer.Option(help="The results: .jsonl, .csv or .parquet.")] = Path(
        "results.jsonl"
    ),
    sheet: Annotated[
        Path | None,
        typer.Option(
            help=f"Also a web page with the first {SHEET} flagged images, grey and blurred.",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        str, typer.Option(help="Of Parquet tables: images as bytes, paths, or structs of both.")
    ] = "image",
    every_file: Annotated[
        bool,
        typer.Option(
            "--every-file",
            help="Look at files too that are no images by their name and first bytes.",
        ),
    ] = False,
    attributes: Annotated[
        bool,
        typer.Option(
            "--attributes",
            help="Look for faces too, and tell the shares of age bands and genders that a network "
            "reads in them.",
        ),
    ] = False,
    engine: Annotated[str, typer.Option(help="local, or ray: actors on a cluster.")] = "local",
    actors: Annotated[
        int, typer.Option(min=0, help="Actors on a cluster; 0: one a GPU, or one a machine.")
    ] = 0,
    ledger: Annotated[
        Path | None,
        typer.Option(help="A ledger in which the scan is recorded.", show_default=False),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="Its private key; by default key.pem in it.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge every image of an archive by a policy's checks; run again, it goes on where it was.

    Exit code 0: nothing is flagged; 1: something is; 3: nothing is, but not all could be looked at.
    """
    where_to = choice(engine, ENGINES)
    acts = Acts(ledger, key) if ledger else None  # what is wrong with it is told before the work
    started = time.monotonic()
    with bar(None, "loading the detectors") as show:

        def tell(now: Progress) -> None:
            rate = now.images / (time.monotonic() - started)
            show(
                now.images,
                None,
                f"{now.images} images ({now.unchanged} known), {rate:.1f}/s, "
                f"{now.flagged} flagged, {now.errors} errors",
            )

        counts = AttributeCounts()
        found = scan(
            where,
            policy,
            out,
            column=column,
            every_file=every_file,
            sheet=sheet,
            engine=where_to,
            actors=actors or None,
            detectors=[DETECTOR] if attributes else [],
            progress=tell,
            tally=counts.add,
        )
    if acts:
        came = found.model_dump(include={"images", "looked_at", "flagged", "errors", "judge"})
        details = came | {"results": found.results_sha256, "policy": found.policy_digest}
        acts.append("scanned", actor=operator(), details=details)
    people = counts.summary() if attributes else None
    if as_json:
        print_json(found.model_dump() | ({"attributes": people} if people else {}))
    else:
        _show(found)
        if people:
            _show_attributes(people)
    if found.flagged:
        raise typer.Exit(FLAGGED)
    if found.errors:
        raise typer.Exit(NOT_LOOKED_AT)


def _show(found: Summary) -> None:
    table = Table("check", "images", "share")
    for check in found.checks:
        count = found.flagged_by.get(check, 0)
        fill(table, check, str(count), f"{count / found.images:.1%}" if found.images else "-")
    Console(markup=False, highlight=False).print(table)
    typer.echo(
        f"{found.images} images, {found.flagged} flagged, {found.errors} not looked at; "
        f"{found.looked_at} of them looked at now, {found.images_per_second:.1f} images/s\n"
        f"left out: {found.skipped} files that are no images, {found.linked_folders} links to "
        f"folders\nresults: {found.results}"
    )
    if found.sheet:
        typer.echo(f"sheet: {found.sheet}")


def _show_attributes(people: Attributes) -> None:
    table = Table("read in faces", "share", "95 % interval", "of")
    for label, share in people.shares.items():
        interval = f"{share.low:.1%} to {share.high:.1%}"
        fill(table, label, f"{share.value:.1%}", interval, str(share.n))
    Console(markup=False, highlight=False).print(table)
    typer.echo(
        f"{people.faces} faces in {people.images} images; a network's impression, for shares over "
        "many images and for no decision about a person"
    )
