"""The `safegen` command as a whole.

The modules imported here must not import torch at their top: `safegen --help` stays quick, and
the policy and ledger commands work where no model can run.
"""

import json
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import structlog
import typer

from safegen.cli import audit, policy, reference, risk, vectors
from safegen.cli.demo import demo
from safegen.cli.doctor import doctor, lacking
from safegen.cli.evaluation import evaluate
from safegen.cli.generate import generate
from safegen.cli.redteam import redteam
from safegen.errors import SafeGenError

app = typer.Typer(
    name="safegen",
    help="Risk scores, policy, steering and audit around an image generator.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo)
app.command("generate")(generate)
app.add_typer(policy.app, name="policy")
app.add_typer(risk.app, name="risk")
app.add_typer(audit.app, name="audit")
app.add_typer(vectors.app, name="vectors")
app.add_typer(reference.app, name="reference")
app.command("eval")(evaluate)
app.command("redteam")(redteam)
app.command("doctor")(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"safegen {version('safegen')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Risk scores, policy, steering and audit around an image generator."""


def main() -> None:
    """Run the command line; exit code 2 for what the user can mend, 130 when interrupted."""
    # stdout belongs to results, which machines read
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        app()
    except SafeGenError as error:
        _refuse(error)
    except ModuleNotFoundError as error:
        if (missing := lacking(error)) is None:
            raise
        _refuse(missing)


def _refuse(error: SafeGenError) -> NoReturn:
    if "--json" in sys.argv:
        mended = {"message": error.message, "mend": error.mend}
        typer.echo(json.dumps({"error": {"type": type(error).__name__, **mended}}))
    else:
        typer.echo(f"error: {error}", err=True)
    sys.exit(2)
