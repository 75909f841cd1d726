"""What several commands of `safegen audit` share: options, the open index, ways to print."""

import functools
import getpass
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_json
from rich.table import Table
from rich.text import Text

from safegen.audit.filters import Filters, State
from safegen.audit.index import Index
from safegen.audit.ledger.keys import PRIVATE_KEY, Commitments, own_private_key
from safegen.audit.people import User
from safegen.audit.text import plain
from safegen.cli.models import bar
from safegen.errors import InputError, OutputError
from safegen.nouns import Outcome

Folder = Annotated[Path, typer.Argument(help="Folder of the ledger.", show_default=False)]
IndexFile = Annotated[
    Path | None,
    typer.Option(
        "--index", help="The index; by default index.sqlite in FOLDER.", show_default=False
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        help="The ledger's private key; by default key.pem in FOLDER.", show_default=False
    ),
]
Subjects = Annotated[
    Path | None,
    typer.Option(
        help="The keys of subjects; by default subjects.sqlite in FOLDER.", show_default=False
    ),
]
PublicKey = Annotated[
    Path | None,
    typer.Option(help="A copy of public.pem kept apart from the ledger.", show_default=False),
]
KeysLost = Annotated[
    bool,
    typer.Option(
        "--keys-lost", help="No file is left with the keys that are missing: go on without them."
    ),
]
Tenant = Annotated[
    str | None, typer.Option(help="The tenant whose request it was.", show_default=False)
]
Since = Annotated[str, typer.Option(help="From then on: 2026-01-31, or 7d for as long ago.")]
Until = Annotated[str, typer.Option(help="Before then.")]
NONE: list[str] = []
"""Of an option that may be repeated and was not given."""


def _filters(
    folder: Path,
    key: Path | None,
    since: Since = "",
    until: Until = "",
    outcome: Annotated[str, typer.Option(help=f"One of {', '.join(Outcome)}.")] = "",
    rule: Annotated[str, typer.Option(help="A rule that fired, or check:DETECTOR/LABEL.")] = "",
    score: Annotated[
        list[str], typer.Option(help='Such as "violence>=0.8"; of several, all must hold.')
    ] = NONE,
    tenant: Tenant = None,
    user: Annotated[
        str | None,
        typer.Option(
            help="Id of the user who asked, in whatever tenant; needs the ledger's private key.",
            show_default=False,
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            help="The user who asked, as records name them: hmac-sha256:….", show_default=False
        ),
    ] = None,
    policy: Annotated[
        str, typer.Option(help="Name of the policy, or the beginning of its digest.")
    ] = "",
    state: Annotated[str, typer.Option(help=f"One of {', '.join(State)}.")] = "",
) -> tuple[Filters, User | None]:
    demand_given(user=user, subject=subject, tenant=tenant)
    if user and subject:
        raise InputError("expected either --user or --subject", "say in one way who asked")
    filters = Filters.parse(
        since=since,
        until=until,
        outcome=outcome,
        rule=rule,
        score=score,
        tenant=tenant or "",
        subject=subject or "",
        policy=policy,
        state=state,
    )
    return filters, user_named(folder, key, user) if user else None


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Filters` in the place of its parameters `filters` and `whose`.

    `whose` is the user that it asks for, if it does. It has the parameters `folder` and `key` too,
    with which users are known.
    """
    own = inspect.signature(command).parameters
    options = {k: v for k, v in inspect.signature(_filters).parameters.items() if k not in own}

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in options}
        filters, whose = _filters(given["folder"], given["key"], **chosen)
        command(filters=filters, whose=whose, **given)

    parameters = {**own, **options}
    del parameters["filters"], parameters["whose"]
    keyword_only = (each.replace(kind=each.KEYWORD_ONLY) for each in parameters.values())
    run.__signature__ = inspect.Signature(list(keyword_only))  # type: ignore[attr-defined]
    run.__annotations__ = {name: each.annotation for name, each in parameters.items()}
    return run


def user_named(folder: Path, key: Path | None, user: str) -> User:
    """The user with this id.

    Raises:
        LedgerError: the ledger's private key is not there, or it is another ledger's.
    """
    return User(user, Commitments(own_private_key(folder, key or folder / PRIVATE_KEY)))


def demand_given(**options: str | None) -> None:
    """Check that no option was given an empty text, as a variable that is not set leaves it.

    Raises:
        InputError: one was; taken for none, it would give one person's answer for another's.
    """
    for name, text in options.items():
        if text == "":
            raise InputError(
                f"--{name} is empty",
                f"give the {name}, or leave the option out; is a variable set?",
            )


@contextmanager
def opened(folder: Path, path: Path | None, *, elsewhere: bool = True) -> Iterator[Index]:
    """The ledger's index, up to date; `elsewhere`: the command has the option --index."""
    try:
        found = Index.open(folder, path)
    except OutputError as error:
        if path or not elsewhere:
            raise
        raise OutputError(
            error.message, "choose another place for the index: --index FILE"
        ) from error
    with found as index:
        with bar(1, "reading the ledger") as progress:
            index.update(lambda done, total: progress(done, total, "reading the ledger"))
        yield index


def fill(table: Table, *cells: str) -> None:
    """Add a row whose text cannot steer the terminal."""
    table.add_row(*(Text(plain(cell)) for cell in cells))


def operator() -> str:
    """Who runs the command, as events of the ledger name them: the process's user, not LOGNAME.

    Behind root stands who called sudo, if there is such a user: root may set it to anything.
    """
    try:
        import pwd
    except ImportError:  # Windows
        return f"os:{getpass.getuser()}"
    uid, behind = os.getuid(), os.environ.get("SUDO_USER", "")
    by = ""
    with suppress(KeyError, ValueError):
        if uid == 0 and behind:
            by = f" (sudo by {pwd.getpwnam(behind).pw_name})"
    try:
        return f"os:{pwd.getpwuid(uid).pw_name}{by}"
    except KeyError:  # in a container, say
        return f"os:{uid}{by}"


def print_json(value: Any) -> None:
    """One JSON object on a line."""
    typer.echo(to_json(value).decode())
