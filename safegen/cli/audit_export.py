"""`safegen audit export`: an evidence pack for whoever must be convinced."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from safegen.audit.evidence import pack
from safegen.audit.filters import Filters
from safegen.audit.ledger.keys import PRIVATE_KEY
from safegen.audit.people import User
from safegen.audit.review.acts import Acts
from safegen.cli.audit_options import (
    NONE,
    Folder,
    PublicKey,
    filtered,
    operator,
    print_json,
)
from safegen.cli.models import Json


@filtered
def export_command(
    folder: Folder,
    filters: Filters,
    whose: User | None,
    out: Annotated[
        Path, typer.Option(help="A zip file if it ends in .zip, else a folder; must not exist.")
    ] = Path("evidence.zip"),
    limit: Annotated[int, typer.Option(min=0, help="The most records; 0: all that fit.")] = 0,
    policy_file: Annotated[
        list[str], typer.Option(help="A policy that decided: a YAML file, or a shipped pack.")
    ] = NONE,
    public_key: PublicKey = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="The ledger's private key, with which the export itself is recorded; by default "
            "key.pem in FOLDER, if it can be read.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Pack records with all that proves them; exit 2 if the ledger does not verify."""
    tell = Console(stderr=True, highlight=False).print

    def record() -> None:
        if key or os.access(folder / PRIVATE_KEY, os.R_OK):
            with Acts(folder, key) as acts:
                acts.append("exported", actor=operator(), details={"to": out.name})
        else:
            tell("the export is not recorded in the ledger, since its private key is not here")

    packed = pack(
        folder,
        filters,
        out,
        whose=whose,
        policies=policy_file,
        limit=limit or None,
        public_key=public_key,
        progress=tell,
        begin=record,
    )
    if as_json:
        print_json(packed)
        return
    typer.echo(
        f"{packed.path}: {packed.records} records, {len(packed.policies)} policies, and the "
        f"{packed.verification.records} lines of the ledger that prove them"
    )
