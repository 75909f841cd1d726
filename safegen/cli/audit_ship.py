"""`safegen audit ship`: copies of the records for databases, log systems and analysts."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from safegen.audit.sinks import Shipped, Shipper, Status, sink_at, statuses
from safegen.cli.audit_options import Folder, fill, print_json
from safegen.cli.ending import refuse
from safegen.cli.models import Json, bar
from safegen.errors import InputError, SafeGenError

_FAREWELL = 10.0  # seconds that a stuck sink has to come back once it was told to end


def ship_command(
    folder: Folder,
    to: Annotated[
        str,
        typer.Option(
            envvar="SAFEGEN_SHIP_TO",
            help="postgresql://USER:PASSWORD@HOST/DATABASE, parquet:FOLDER, otel, "
            "syslog://HOST:PORT or stdout. Other users of the machine can see what stands on a "
            "command line, not what is in its environment.",
            show_default=False,
        ),
    ] = "",
    follow: Annotated[
        bool,
        typer.Option("--follow/--once", help="Go on as records are written, or end at the last."),
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Only say how every sink stands.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Folder for what is kept between runs; by default sinks in FOLDER.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Deliver the ledger's lines to a sink, each at least once; a dead sink is waited for."""
    if status:
        _print(statuses(folder, state), as_json)
        return
    if not to:
        raise InputError("there is nothing to ship to", "give --to, or --status")
    # stdout belongs to the records where they go there
    to_stderr = to == "stdout"
    try:
        shipper = Shipper(folder, sink_at(to), state=state)
        if follow:
            if begin := shipper.begin():
                typer.echo(f"{shipper.sink.to}: goes on at line {begin}", err=True)
            shipper.follow(_until_told())
            return
        with bar(1, "shipping") as progress:
            found = shipper.once(lambda done, total: progress(done, total, "shipping"))
    except SafeGenError as error:
        if to_stderr:
            refuse(error, to_stderr=True)
        raise
    _print_one(found, as_json, to_stderr=to_stderr)


def _until_told() -> threading.Event:
    """Set by the first SIGTERM or SIGINT; the second ends the process at once.

    So does the first, some seconds later, where a sink is stuck and does not come back: it offers
    nothing anew that would not be offered after a kill.
    """
    stop = threading.Event()

    def end(number: int, _: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)
        last = threading.Timer(_FAREWELL, os.kill, (os.getpid(), number))
        last.daemon = True
        last.start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return stop


def _print_one(found: Shipped, as_json: bool, *, to_stderr: bool) -> None:
    told = f"{found.to}: {found.delivered} delivered, {found.behind} behind"
    if found.begin:
        told += f"; this run went on at line {found.begin}"
    typer.echo(found.model_dump_json() if as_json else told, err=to_stderr)


def _print(found: list[Status], as_json: bool) -> None:
    if as_json:
        print_json({"sinks": found})
        return
    table = Table("sink", "delivered", "behind", "since", "error")
    for each in found:
        fill(table, each.to, str(each.delivered), str(each.behind), each.time, each.error or "-")
    Console(markup=False, highlight=False).print(table)
