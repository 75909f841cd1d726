"""The `safegen` command as a whole.

The modules imported here must not import torch at their top: `safegen --help` stays quick, and
the policy and ledger commands work where no model can run.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Any

import structlog
import typer
from typer.core import TyperGroup

from safegen.cli import audit, marks, policy, reference, risk, vectors
from safegen.cli.demo import demo
from safegen.cli.docs import docs
from safegen.cli.doctor import doctor, lacking
from safegen.cli.ending import ending, refuse
from safegen.cli.evaluation import evaluate
from safegen.cli.generate import generate
from safegen.cli.redteam import redteam
from safegen.errors import InputError, SafeGenError

# An unexpected error; not 1, by which commands answer "no".
_BUG = 70  # EX_SOFTWARE of sysexits.h
# click's UsageError, of which newer versions of typer hold a copy.
_WrongUse: Any = typer.BadParameter.__bases__[0]


class _Commands(TyperGroup):
    """Mistakes in how a command is called are errors like all others where JSON was asked for.

    Without `--json`, typer shows its box. All else that it does (exit codes, interruption) stays.
    """

    def make_context(self, *given: Any, **options: Any) -> Any:
        """Read the arguments before the command."""
        with _told_as_json():
            return super().make_context(*given, **options)

    def invoke(self, ctx: Any) -> Any:
        """Find the command, read its arguments, and run it."""
        with _told_as_json():
            return super().invoke(ctx)


@contextmanager
def _told_as_json() -> Iterator[None]:
    try:
        yield
    except _WrongUse as error:
        if "--json" not in sys.argv:
            raise
        called = error.ctx.command_path if error.ctx else "safegen"
        raise InputError(error.format_message(), f"see: {called} --help") from error


app = typer.Typer(
    cls=_Commands,
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
app.add_typer(marks.app, name="marks")
app.add_typer(vectors.app, name="vectors")
app.add_typer(reference.app, name="reference")
app.command("eval")(evaluate)
app.command("redteam")(redteam)
app.command("doctor")(doctor)
app.command("docs")(docs)


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
    """Run the command line.

    Exit code 2 for what the user can mend, 130 when interrupted, 70 for an error of SafeGen's own;
    a lost reader and SIGTERM end it as `ending` says.
    """
    with ending():
        _run()


def _run() -> None:
    # stdout belongs to results, which machines read
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        app()
    except SafeGenError as error:
        refuse(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends here
        if isinstance(error, ModuleNotFoundError) and (missing := lacking(error)):
            refuse(missing)
        traceback.print_exc()
        sys.exit(_BUG)
