"""`safegen audit erase`: forget a person, and keep the proof of all the rest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.erase import Erased, erase
from safegen.audit.ledger import Ledger
from safegen.audit.people import known_subject
from safegen.cli.audit_options import (
    Folder,
    IndexFile,
    Key,
    KeysLost,
    Subjects,
    demand_given,
    opened,
    operator,
    print_json,
    user_named,
)
from safegen.cli.models import Json
from safegen.errors import InputError


def erase_command(
    folder: Folder,
    user: Annotated[str | None, typer.Option(help="Id of the user.", show_default=False)] = None,
    tenant: Annotated[
        str | None, typer.Option(help="The tenant whose user it is.", show_default=False)
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            help="The user as records name them: hmac-sha256:…, or record:ID for one record.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; do not name the person.")] = "",
    key: Key = None,
    subjects: Subjects = None,
    keys_lost: KeysLost = False,
    index: IndexFile = None,
    as_json: Json = False,
) -> None:
    """Delete the key of a person, so that nothing kept encrypted of them can be read again.

    Exit 1 if nothing was kept encrypted, or if something stays readable.
    """
    demand_given(user=user, subject=subject, tenant=tenant)
    if bool(user) == bool(subject):
        raise InputError("expected either --user or --subject", "say whom to erase in one way")
    if subject and tenant:
        raise InputError(
            "--tenant was given with --subject, which is of one tenant by itself", "leave it out"
        )
    whose = user_named(folder, key, user) if user else None
    with opened(folder, index) as known, Ledger.open(folder, key=key, subjects=subjects) as ledger:
        keys = ledger.existing_subjects
        if whose:
            subject = whose.only_subject(known, tenant or "", keys)
        else:
            subject = known_subject(known, subject or "", keys)
        done = erase(ledger, known, subject, actor=operator(), reason=reason, lost=keys_lost)
    if as_json:
        print_json(done)
    else:
        for line in _told(done, folder):
            typer.echo(line)
    if done.readable or not done.time:
        raise typer.Exit(1)


def _told(done: Erased, folder: Path) -> Iterator[str]:
    subject = done.subject
    if done.now and not done.encrypted:
        yield (
            f"erased {subject}: no record here is encrypted under its key, and what copies of "
            "purged ones keep encrypted is lost for ever"
        )
    elif done.now:
        yield f"erased {subject}: what {done.encrypted} records keep encrypted is lost for ever"
    elif done.time:
        yield f"{subject} was erased on {done.time[:10]}, and nothing encrypted came since"
    else:
        yield f"{subject} has no key: nothing is kept encrypted in its {done.records} records"
    if done.readable:
        yield (
            f"{done.readable} of its {done.records} records keep prompt or user in plain text, "
            "which stays readable until they are purged; see them: "
            f"safegen audit query {folder} --subject {subject} --limit 0"
        )
