"""`safegen audit purge-images`: held images do not stay for ever."""

import time
from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.held import ImageStore
from safegen.audit.review.acts import Acts
from safegen.cli.audit_options import Folder, Key, operator, print_json
from safegen.cli.models import Json
from safegen.nouns import Details


def purge_images_command(
    folder: Folder,
    images: Annotated[Path, typer.Argument(help="Folder of held images.", show_default=False)],
    days: Annotated[float, typer.Option(min=0, help="Delete what was kept for longer.")] = 30,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Delete held images that are older; the ledger says first how many, and keeps its records."""
    store, before = ImageStore.existing(images), time.time() - days * 86_400
    old = store.kept_before(before)
    details: Details = {"count": len(old), "days": days}
    with Acts(folder, key) as acts:
        acts.append("images_purged", actor=operator(), details=details)
    store.delete(old, before)
    store.clear(before)
    if as_json:
        print_json(details)
    else:
        typer.echo(f"deleted {len(old)} held images older than {days:g} days")
