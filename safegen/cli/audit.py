"""`safegen audit`: verify a ledger, show its records to people, and scan archives of images."""

from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.ledger import verify
from safegen.audit.text import plain
from safegen.cli import audit_account
from safegen.cli.audit_erase import erase_command
from safegen.cli.audit_export import export_command
from safegen.cli.audit_images import purge_images_command
from safegen.cli.audit_options import Folder, PublicKey, print_json
from safegen.cli.audit_purge import purge_command
from safegen.cli.audit_query import query_command, show_command, stats_command
from safegen.cli.audit_scan import scan_command
from safegen.cli.audit_serve import serve_command
from safegen.cli.audit_ship import ship_command
from safegen.cli.models import Json
from safegen.errors import LedgerTamperedError

app = typer.Typer(
    help="Verify a ledger, read its records, scan archives of images.", no_args_is_help=True
)
app.command("query")(query_command)
app.command("show")(show_command)
app.command("stats")(stats_command)
app.command("export")(export_command)
app.command("erase")(erase_command)
app.command("purge")(purge_command)
app.command("scan")(scan_command)
app.command("ship")(ship_command)
app.command("purge-images")(purge_images_command)
app.command("serve")(serve_command)
app.add_typer(audit_account.app, name="account")


@app.command("verify")
def verify_command(
    folder: Folder,
    public_key: PublicKey = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="An earlier copy of checkpoint.json: the ledger must not end before it.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that every record is there as it was written; exit 1 if one is not, naming it."""
    try:
        found = verify(folder, public_key=public_key, checkpoint=checkpoint)
    except LedgerTamperedError as error:
        if as_json:
            told = {"type": type(error).__name__, "message": error.message, "mend": error.mend}
            print_json({"intact": False, "error": told | {"seq": error.seq, "kind": error.kind}})
        else:
            typer.echo(f"tampered ({error.kind}): {plain(str(error))}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        print_json({"intact": True} | found.model_dump())
        return
    typer.echo(
        f"intact: {found.records} records in {found.segments} segments, last hash {found.head_hash}"
    )
    if found.purged:
        typer.echo(f"before them, {found.purged} were purged, as a signed tombstone says")
    if found.unfinished:
        typer.echo("after them, a record is being written now or was cut off by a crash")
