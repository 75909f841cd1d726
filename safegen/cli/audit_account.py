"""`safegen audit account`: who may sign in to the review page."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from safegen.audit.review.accounts import Accounts, Role
from safegen.audit.review.acts import Acts
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
    with Accounts.open(folder) as accounts:
        accounts.add(name, role, password)
    _record(folder, key, "account_added", name, as_json, role)


@app.command("remove")
def remove_command(folder: Folder, name: _Name, key: Key = None, as_json: Json = False) -> None:
    """Remove an account and sign it out; what it did stays in the ledger."""
    with Accounts.open(folder) as accounts:
        accounts.remove(name)
    _record(folder, key, "account_removed", name, as_json)


@app.command("passwd")
def passwd_command(folder: Folder, name: _Name, key: Key = None, as_json: Json = False) -> None:
    """Give an account another password and sign it out; it is asked for, or read from stdin."""
    password = _password()
    with Accounts.open(folder) as accounts:
        accounts.set_password(name, password)
    _record(folder, key, "password_changed", name, as_json)


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


def _record(
    folder: Path, key: Path | None, what: str, name: str, as_json: bool, role: Role | None = None
) -> None:
    details: Details = {"account": name}
    if role:
        details["role"] = role.value
    Acts(folder, key).append(what, actor=operator(), details=details)
    if as_json:
        print_json({"event": what, **details})
    else:
        typer.echo(f"{what.replace('_', ' ')}: {name}")
