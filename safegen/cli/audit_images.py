"""`safegen audit purge-images`: held images do not stay for ever."""

from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.held import ImageStore
from safegen.audit.review.acts import Acts
from safegen.cli.audit_options import Folder, Json, Key, operator, print_json
from safegen.nouns import Details


def purge_images_command(
    folder: Folder,
    images: Annotated[Path, typer.Argument(help="Folder of held images.", show_default=False)],
    days: Annotated[float, typer.Option(min=0, help="Delete what was kept for longer.")] = 30,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Delete held images that are older; the ledger says how many were, and keeps its records."""
    with Acts(folder, key) as acts:
        count = ImageStore(images).purge(days)
        details: Details = {"count": count, "days": days}
        acts.append("images_purged", actor=operator(), details=details)
    if as_json:
        print_json(details)
    else:
        typer.echo(f"deleted {count} held images older than {days:g} days")
