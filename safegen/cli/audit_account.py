"""`safegen audit account`: who may sign in to the review page."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.ledger.query import segments_of
from safegen.audit.review.accounts import Accounts, Role, demand_name, refuse_known
from safegen.audit.review.acts import Acts
from safegen.cli.audit_options import Folder, Key, opened, operator, print_json
from safegen.cli.models import Json
from safegen.errors import InputError
from safegen.nouns import Details

app = typer.Typer(help="Accounts of the review page.", no_args_is_help=True)
_Name = Annotated[str, typer.Argument(help="Name of the account.", show_default=False)]


@app.command("add")
def add_command(
    folder: Folder,
    name: _Name,
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.REVIEWER,
    restore: Annotated[
        bool, typer.Option("--restore", help="It is for the person who had the name before.")
    ] = False,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Make an account; the password is asked for, or read from stdin."""
    demand_name(name)  # before a password is asked for
    password = _password()
    more = {"role": role.value} | ({"restored": True} if restore else {})
    with (
        opened(folder, None, elsewhere=False) as index,
        _changing(folder, key, "account_added", name, as_json, **more) as accounts,
    ):
        if not restore:
            refuse_known(index, accounts, name)
        accounts.add(name, role, password)


@app.command("role")
def role_command(
    folder: Folder,
    name: _Name,
    role: Annotated[Role, typer.Argument(help="What it may do.", show_default=False)],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Give an account another role, from its next request on."""
    with _changing(folder, key, "role_changed", name, as_json, role=role.value) as accounts:
        accounts.set_role(name, role)


@app.command("disable")
def disable_command(folder: Folder, name: _Name, key: Key = None, as_json: Json = False) -> None:
    """Let nobody sign in to an account, and sign it out."""
    with _changing(folder, key, "account_disabled", name, as_json) as accounts:
        accounts.set_disabled(name, True)


@app.command("enable")
def enable_command(folder: Folder, name: _Name, key: Key = None, as_json: Json = False) -> None:
    """Let a disabled account sign in again."""
    with _changing(folder, key, "account_enabled", name, as_json) as accounts:
        accounts.set_disabled(name, False)


@app.command("remove")
def remove_command(folder: Folder, name: _Name, key: Key = None, as_json: Json = False) -> None:
    """Remove an account and sign it out; what it did stays in the ledger."""
    with _changing(folder, key, "account_removed", name, as_json) as accounts:
        accounts.remove(name)


@app.command("passwd")
def passwd_command(folder: Folder, name: _Name, key: Key = None, as_json: Json = False) -> None:
    """Give an account another password and sign it out; it is asked for, or read from stdin."""
    password = _password()
    with _changing(folder, key, "password_changed", name, as_json) as accounts:
        accounts.set_password(name, password)


@app.command("list")
def list_command(folder: Folder, as_json: Json = False) -> None:
    """List the accounts and their roles."""
    segments_of(folder)  # elsewhere, opening would make a file of no accounts
    with Accounts.open(folder) as accounts:
        found = accounts.list()
    if as_json:
        print_json([each._asdict() for each in found])
        return
    for account in found:
        typer.echo(f"{account.name}  {account.role}{'  disabled' if account.disabled else ''}")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("password: ")
    if getpass.getpass("again: ") != password:
        raise InputError("the two passwords differ", "run the command again")
    return password


@contextmanager
def _changing(
    folder: Path, key: Path | None, what: str, name: str, as_json: bool, **more: str | bool
) -> Iterator[Accounts]:
    """The accounts, to be changed; then the change is recorded and told."""
    details: Details = {"account": name, **more}
    with (
        Acts(folder, key) as acts,
        Accounts.open(folder) as accounts,
        acts.changing(accounts, what, actor=operator(), details=details),
    ):
        yield accounts
    if as_json:
        print_json({"event": what, **details})
    else:
        typer.echo(f"{what.replace('_', ' ')}: {name}")
