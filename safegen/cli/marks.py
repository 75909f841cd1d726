"""`safegen marks`: certificates to try marks with, and what a file's mark says."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.marking.certificates import CERTIFICATES, KEY, ROOT, make_certificates
from safegen.audit.marking.reading import Credentials, Said, named_elsewhere, read_credentials
from safegen.audit.text import plain
from safegen.audit.told import PURGED
from safegen.cli.audit_options import IndexFile, opened, print_json
from safegen.cli.models import Json
from safegen.errors import InputError

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
    """Say what the mark of an image says; exit 1 if none that is intact says that it is generated.

    With --roots it must be of somebody they vouch for, with --ledger one that a record there tells
    of, and the file the very one that was returned.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}", "give an image's file") from error
    read = read_credentials(data, roots)
    elsewhere = named_elsewhere(data) if read is None else ""
    doubt = _doubt(read, data, ledger, index) if read is not None and ledger is not None else ""
    returned = read is not None and ledger is not None and not doubt
    good = (
        read is not None
        and (read.intact and read.generated)
        and (read.trusted or roots is None)
        and (returned or ledger is None)
    )
    if as_json:
        told = {"file": str(file), "credentials": read, "elsewhere": elsewhere}
        asked = {"returned": returned, "doubt": doubt}
        print_json(told if ledger is None else told | asked)
    else:
        lines = _lines(read, elsewhere, trust_asked=roots is not None)
        if read is not None and ledger is not None:
            says = "says" if returned else "does not say"
            lines += [doubt] * bool(doubt) + [f"the ledger {says} that this file was returned"]
        typer.echo(plain("\n".join(lines)))
    if not good:
        raise typer.Exit(1)


def _doubt(read: Credentials, data: bytes, ledger: Path, index: Path | None) -> str:
    """Why no signed record says that this very file was returned; empty: one does."""
    if (mark := read.mark) is None:
        return "it names no record"
    with opened(ledger, index) as known:
        seq = known.seqs([mark.record]).get(mark.record)
        if seq is None and known.events(what=PURGED, limit=1):
            return (
                f"the ledger has no record {mark.record}; older ones were purged, and whether it "
                "was one of these is not known any more"
            )
        if seq is None:
            return f"the ledger has no record {mark.record}, and none was purged"
        _, record = known.record(seq)
    if not 0 <= mark.image < len(record.images):
        return f"the record has no image {mark.image}"
    image = record.images[mark.image]
    if image.marked == hashlib.sha256(data).hexdigest():
        return ""
    if image.marked:
        return "the record tells of another file"
    if not image.sha256:
        return (
            "the record says that this image was withheld; of one that a reviewer let pass, and "
            "that was marked then, it knows nothing"
        )
    return "the record tells of no file"


def _lines(read: Credentials | None, elsewhere: str, *, trust_asked: bool) -> list[str]:
    if read is None and elsewhere:
        return [
            "no mark in the file; it names one on the network, which is not fetched, at "
            f"{elsewhere}"
        ]
    if read is None:
        return ["no mark"]
    lines = [
        "intact" if read.intact else f"NOT intact: {', '.join(read.problems)}",
        _generated(read),
        f"signed by {_signer(read, trust_asked=trust_asked)}",
    ]
    if read.signed_at:
        of_whom = "the roots vouch for" if read.time_trusted else "nobody vouches for"
        lines.append(f"at {read.signed_at}, by a clock that {of_whom}")
    lines += _record(read)
    for each in read.ingredients:
        what = "an edit of an image" if each.relationship == "parentOf" else "made with an image"
        broken = "" if each.intact else ", whose manifest was NOT intact"
        lines.append(
            f"{what} that {_generated(each)}, signed by who calls itself "
            f"{each.signed_by or 'nobody'}{broken}"
        )
        lines += [f"  {line}" for line in _record(each)]
    return lines


def _generated(said: Said) -> str:
    return "says that it is generated" if said.generated else "does not say that it is generated"


def _signer(read: Credentials, *, trust_asked: bool) -> str:
    """Who signed; what nobody vouches for is what the signer says itself."""
    if not read.signed_by:
        return "nobody"
    if read.trusted:
        return f"{read.signed_by}, whom the roots vouch for"
    if trust_asked:
        return f"who calls itself {read.signed_by}, whom the roots do NOT vouch for"
    return f"who calls itself {read.signed_by}; nobody was asked to vouch for it (--roots)"


def _record(said: Said) -> list[str]:
    if (mark := said.mark) is None:
        return []
    return [
        f"image {mark.image} of the record {mark.record}",
        f"by the policy {mark.policy}, {mark.policy_digest}",
    ]
