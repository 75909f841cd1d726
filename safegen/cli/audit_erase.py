"""`safegen audit erase`: forget a person, and keep the proof of all the rest."""

from typing import Annotated

import typer

from safegen.audit.erase import erase
from safegen.audit.ledger import Ledger
from safegen.cli.audit_options import (
    Folder,
    IndexFile,
    Json,
    Key,
    KeysLost,
    Subjects,
    opened,
    operator,
    print_json,
    subject_named,
)
from safegen.errors import InputError


def erase_command(
    folder: Folder,
    user: Annotated[str, typer.Option(help="Id of the user.", show_default=False)] = "",
    subject: Annotated[
        str,
        typer.Option(
            help="The same as records name it: hmac-sha256:…, or record:ID for one record.",
            show_default=False,
        ),
    ] = "",
    reason: Annotated[str, typer.Option(help="Why; do not name the person.")] = "",
    key: Key = None,
    subjects: Subjects = None,
    keys_lost: KeysLost = False,
    index: IndexFile = None,
    as_json: Json = False,
) -> None:
    """Delete the key of a person, so that nothing kept encrypted of them can be read again."""
    if bool(user) == bool(subject):
        raise InputError("expected either --user or --subject", "say whom to erase in one way")
    subject = subject or subject_named(folder, key, user)
    with opened(folder, index) as known, Ledger.open(folder, key=key, subjects=subjects) as ledger:
        done = erase(ledger, known, subject, actor=operator(), reason=reason, lost=keys_lost)
    if as_json:
        print_json(done)
    elif done.now:
        typer.echo(f"erased {subject}: what {done.records} records keep encrypted is lost for ever")
    elif done.time:
        typer.echo(f"{subject} was erased on {done.time[:10]}, and nothing encrypted came since")
    else:
        typer.echo(f"{subject} has no key: nothing is kept encrypted in its {done.records} records")
