"""`safegen marks`: certificates to try marks with, and what a file's mark says."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.marking.certificates import CERTIFICATES, KEY, ROOT, make_certificates
from safegen.audit.marking.reading import Credentials, read_credentials
from safegen.audit.text import plain
from safegen.cli.audit_options import IndexFile, Json, opened, print_json
from safegen.errors import InputError, LedgerError, LedgerTamperedError

app = typer.Typer(
    help="Marks that say, for machines to read, that an image is generated.", no_args_is_help=True
)


@app.command("certificates")
def certificates_command(
    folder: Annotated[Path, typer.Argument(help="Made if missing.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Make certificates and a key to try marks with; nobody else trusts them."""
    make_certificates(folder)
    made = {name: str(folder / name) for name in (CERTIFICATES, KEY, ROOT)}
    if as_json:
        print_json(made)
    else:
        typer.echo("\n".join(made.values()))


@app.command("read")
def read_command(
    file: Annotated[Path, typer.Argument(help="An image's file, as it was sent.")],
    roots: Annotated[
        Path | None,
        typer.Option(
            help="PEM file of the certificates whose word counts; else nobody's does.",
            show_default=False,
        ),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(help="Ledger in which to find how the image came about.", show_default=False),
    ] = None,
    index: IndexFile = None,
    as_json: Json = False,
) -> None:
    """Say what the mark of an image says; exit 1 if there is none that is intact.

    With --roots it must be of somebody they vouch for, with --ledger one that a record there tells
    of, and the file the very one that was returned.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}", "give an image's file") from error
    read = read_credentials(data, roots)
    returned = read is not None and ledger is not None and _returned(read, data, ledger, index)
    good = read is not None and read.intact and (read.trusted or roots is None)
    good = good and (returned or ledger is None)
    if as_json:
        told = {"file": str(file), "credentials": read}
        print_json(told if ledger is None else told | {"returned": returned})
    else:
        typer.echo(plain("\n".join(_lines(read, trust_asked=roots is not None))))
        if read is not None and ledger is not None:
            typer.echo(
                "the ledger says that this file was returned"
                if returned
                else "the ledger does not say that this file was returned"
            )
    if not good:
        raise typer.Exit(1)


def _returned(read: Credentials, data: bytes, ledger: Path, index: Path | None) -> bool:
    """Whether a signed record says that this very file was returned."""
    if read.mark is None:
        return False
    with opened(ledger, index) as known:
        try:
            _, record = known.record(known.find(read.mark.record))
        except LedgerTamperedError:
            raise
        except LedgerError:  # there is none
            return False
    number = read.mark.image
    return (
        record.id == read.mark.record
        and number < len(record.images)
        and record.images[number].marked == hashlib.sha256(data).hexdigest()
    )


def _lines(read: Credentials | None, *, trust_asked: bool) -> list[str]:
    if read is None:
        return ["no mark"]
    lines = [
        "intact" if read.intact else f"NOT intact: {', '.join(read.problems)}",
        "says that it is generated" if read.generated else "does not say that it is generated",
        f"signed by {read.signed_by or 'nobody'}"
        + (", whom the roots vouch for" if read.trusted else "")
        + (", whom the roots do NOT vouch for" if trust_asked and not read.trusted else "")
        + (f", at {read.signed_at}" if read.signed_at else ""),
    ]
    if read.mark is not None:
        lines.append(f"image {read.mark.image} of the record {read.mark.record}")
        lines.append(f"by the policy {read.mark.policy}, {read.mark.policy_digest}")
    return lines
