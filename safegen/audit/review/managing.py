"""Accounts, for admins: each change is an event of the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter, Request, Response

from safegen.audit.review.accounts import Role, refuse_known
from safegen.audit.review.render import Text, go, page
from safegen.audit.review.site import Visit, site_of, visiting
from safegen.errors import InputError
from safegen.nouns import Details

router = APIRouter(default_response_class=Response)


def manages(role: Role) -> bool:
    """Whether a role changes accounts."""
    return role.manages


@router.get("/accounts")
def accounts(request: Request) -> Response:
    """Who may sign in, and what they may do."""
    with visiting(request, manages) as visit:
        return page("accounts.html", visit, accounts=visit.accounts.list(), roles=list(Role))


@router.post("/accounts")
def add(
    request: Request, csrf: Text = "", name: Text = "", role: Text = "", password: Text = ""
) -> Response:
    """Make an account."""
    details: Details = {"account": name, "role": _role(role).value}
    with _changing(request, csrf, "account_added", details) as visit, site_of(request).hashing:
        refuse_known(visit.index, visit.accounts, name)
        visit.accounts.add(name, _role(role), password)
    return go("/accounts")


@router.post("/accounts/{name}/role")
def change_role(request: Request, name: str, csrf: Text = "", role: Text = "") -> Response:
    """Give an account another role."""
    details: Details = {"account": name, "role": _role(role).value}
    with _changing(request, csrf, "role_changed", details) as visit:
        visit.accounts.set_role(name, _role(role))
    return go("/accounts")


@router.post("/accounts/{name}/disable")
def disable(request: Request, name: str, csrf: Text = "") -> Response:
    """Let nobody sign in to an account."""
    with _changing(request, csrf, "account_disabled", {"account": name}) as visit:
        visit.accounts.set_disabled(name, True)
    return go("/accounts")


@router.post("/accounts/{name}/enable")
def enable(request: Request, name: str, csrf: Text = "") -> Response:
    """Let a disabled account sign in again."""
    with _changing(request, csrf, "account_enabled", {"account": name}) as visit:
        visit.accounts.set_disabled(name, False)
    return go("/accounts")


@contextmanager
def _changing(request: Request, csrf: str, what: str, details: Details) -> Iterator[Visit]:
    """The visit of an admin who changes accounts together with the event that tells of it."""
    with visiting(request, manages, csrf=csrf) as visit:
        if details["account"] == visit.name:
            raise InputError(
                "this is your own account, and one slip of yours would shut you out",
                "let another admin do it, or: safegen audit account",
            )
        acts = visit.site.acts
        with (
            visit.acting(),
            acts.changing(visit.accounts, what, actor=visit.name, details=details),
        ):
            yield visit


def _role(text: str) -> Role:
    if text not in list(Role):
        raise InputError(f"there is no role {text!r}", f"give one of {', '.join(Role)}")
    return Role(text)
