"""`safegen audit account`: who may sign in to the review page."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.review.accounts import Accounts, Role
from safegen.audit.review.acts import Acts
from safegen.audit.sqlite import writing
from safegen.cli.audit_options import Folder, Json, Key, operator, print_json
from safegen.errors import InputError
from safegen.nouns import Details

app = typer.Typer(help="Accounts of the review page.", no_args_is_help=True)
_Name = Annotated[str, typer.Argument(help="Name of the account.", show_default=False)]


@app.command("add")
def add_command(
    folder: Folder,
    name: _Name,
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.REVIEWER,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Make an account; the password is asked for, or read from stdin."""
    password = _password()
    with _change(folder, key, "account_added", name, as_json, role) as accounts:
        accounts.add(name, role, password)


@app.command("remove")
def remove_command(folder: Folder, name: _Name, key: Key = None, as_json: Json = False) -> None:
    """Remove an account and sign it out; what it did stays in the ledger."""
    with _change(folder, key, "account_removed", name, as_json) as accounts:
        accounts.remove(name)


@app.command("passwd")
def passwd_command(folder: Folder, name: _Name, key: Key = None, as_json: Json = False) -> None:
    """Give an account another password and sign it out; it is asked for, or read from stdin."""
    password = _password()
    with _change(folder, key, "password_changed", name, as_json) as accounts:
        accounts.set_password(name, password)


@app.command("list")
def list_command(folder: Folder, as_json: Json = False) -> None:
    """List the accounts and their roles."""
    with Accounts.open(folder) as accounts:
        found = accounts.list()
    if as_json:
        print_json([each._asdict() for each in found])
        return
    for account in found:
        typer.echo(f"{account.name}  {account.role}")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("password: ")
    if getpass.getpass("again: ") != password:
        raise InputError("the two passwords differ", "run the command again")
    return password


@contextmanager
def _change(
    folder: Path, key: Path | None, what: str, name: str, as_json: bool, role: Role | None = None
) -> Iterator[Accounts]:
    """A change of an account: told in the ledger once it can be made, and made once it is told."""
    details: Details = {"account": name}
    if role:
        details["role"] = role.value
    with Accounts.open(folder) as accounts, writing(accounts.database):
        yield accounts
        Acts(folder, key).append(what, actor=operator(), details=details)
    if as_json:
        print_json({"event": what, **details})
    else:
        typer.echo(f"{what.replace('_', ' ')}: {name}")
