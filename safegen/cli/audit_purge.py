"""`safegen audit purge`: what is older than it may be goes, and the rest still verifies."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.filters import Filters
from safegen.audit.held import ImageStore
from safegen.audit.ledger import Ledger
from safegen.audit.purge import purge
from safegen.cli.audit_options import (
    Folder,
    IndexFile,
    Key,
    KeysLost,
    Subjects,
    opened,
    operator,
    print_json,
)
from safegen.cli.models import Json, bar
from safegen.errors import InputError
from safegen.policy.bundle import open_policy
from safegen.policy.imports import read_whole


def purge_command(
    folder: Folder,
    older_than: Annotated[
        str, typer.Option(help="365d, 52w, or a date before which all goes.", show_default=False)
    ] = "",
    policy: Annotated[
        str,
        typer.Option(help="A policy whose `record.keep_days` says how long.", show_default=False),
    ] = "",
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of held images, whose originals go with their records.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    key: Key = None,
    subjects: Subjects = None,
    keys_lost: KeysLost = False,
    index: IndexFile = None,
    as_json: Json = False,
) -> None:
    """Delete the segments whose records are all older; a signed tombstone each stays."""
    before, reason = _limit(older_than, policy)
    store = ImageStore.existing(images) if images else None
    with (
        opened(folder, index) as known,
        Ledger.open(folder, key=key, subjects=subjects) as ledger,
        bar(1, "reading the segments") as progress,
    ):
        done = purge(
            ledger,
            known,
            before,
            actor=operator(),
            reason=reason,
            images=store,
            dry_run=dry_run,
            lost=keys_lost,
            progress=lambda n, total: progress(n, total, "reading the segments"),
        )
    if as_json:
        print_json({"before": before, "dry_run": dry_run} | done.model_dump())
        return
    typer.echo(
        f"{'would delete' if dry_run else 'deleted'} {done.records} records in {done.segments} "
        f"segments, older than {before:%Y-%m-%d %H:%M} UTC"
    )
    typer.echo(
        f"their records name {done.held} held originals"
        if dry_run
        else f"with them {done.images} of {done.held} held originals, and {done.keys} keys of users"
    )
    if done.overdue:
        typer.echo(
            f"{done.overdue} records stay that are overdue by more than a day, because of "
            f"{done.kept_by}: it was written to, or holds a record, as late as {done.last_used}"
        )


def _limit(older_than: str, policy: str) -> tuple[datetime, str]:
    """What is older goes, and why."""
    if bool(older_than) == bool(policy):
        raise InputError("expected either --older-than or --policy", "say in one way what goes")
    if older_than:
        before = Filters.parse(since=older_than).since or datetime.now(UTC)
        if before > datetime.now(UTC):
            raise InputError(f"{older_than} is in the future", "give 365d, or a date that is past")
        return before, f"older than {older_than}"
    found = open_policy(policy)
    file = read_whole(found.text, found.source, found.fetch).file
    if file.record.keep_days is None:
        raise InputError(
            f"the policy {policy} does not say how long records are kept",
            "write `record: {keep_days: 365}` in it, or give --older-than",
        )
    days = file.record.keep_days
    before = datetime.now(UTC) - timedelta(days=days)
    return before, f"the policy {file.metadata.name} keeps them {days} days"
