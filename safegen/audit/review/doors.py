"""Signing in and out."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from safegen.audit.review.accounts import LONGEST, Accounts, Checked, Session
from safegen.audit.review.render import Text, go, page
from safegen.audit.review.site import Site, local, site_of, visiting
from safegen.audit.sqlite import writing

router = APIRouter(default_response_class=Response)


@router.get("/sign-in")
def sign_in_form(then: Annotated[str, Query(max_length=4096)] = "/") -> Response:
    """The form."""
    return page("sign_in.html", None, then=local(then), told="", name="")


@router.post("/sign-in")
def sign_in(request: Request, name: Text = "", password: Text = "", then: Text = "/") -> Response:
    """Begin a session; the same answer for a wrong name and a wrong password."""
    site = site_of(request)
    address = request.client.host if request.client else ""
    # Who guesses from one address cannot lock an account out; who guesses from many is slowed down.
    who = name[:64]
    # A name is what the form says: in a tuple it can never read as another key.
    mine = (who, address)
    keys = {mine: 5, (None, address): 20, (who, None): 100}
    again: dict[str, Any] = {"then": local(then), "name": who}
    # Counted as failed until it turns out right: guesses that come at once must not all pass here.
    if wait := site.failures.take(keys):
        told = f"Too many failed attempts. Try again in {wait} seconds."
        status = HTTPStatus.TOO_MANY_REQUESTS
        late = page("sign_in.html", None, status=status, told=told, **again)
        late.headers["Retry-After"] = str(wait)
        return late
    with Accounts.open(site.ledger) as accounts:
        with site.hashing:
            checked = accounts.check(name, password) if len(password) <= LONGEST else None
        if checked:
            site.failures.give_back(keys)
        session = checked and _session(site, accounts, checked, address)
        if session is None:
            known = name if accounts.known(name) else ""
            site.acts.append("sign_in_refused", actor=known, details={"from": address})
            told = "Name or password is wrong."
            return page("sign_in.html", None, status=HTTPStatus.FORBIDDEN, told=told, **again)
        site.failures.forget(mine)
    response = go(local(then))
    response.set_cookie(
        site.cookie, session.token, httponly=True, secure=site.secure, samesite="lax", path="/"
    )
    return response


@router.post("/sign-out")
def sign_out(request: Request, csrf: Text = "") -> Response:
    """End the session."""
    with visiting(request, csrf=csrf) as visit:
        visit.site.acts.append("signed_out", actor=visit.name)
        visit.accounts.sign_out(visit.session)
    response = go("/sign-in")
    response.delete_cookie(visit.site.cookie, path="/", secure=visit.site.secure)
    return response


def _session(site: Site, accounts: Accounts, checked: Checked, address: str) -> Session | None:
    """A new session and the event that tells of it, both or neither; None if it may not begin."""
    with writing(accounts.database):
        session = accounts.sign_in(checked)
        if session is not None:
            name = session.account.name
            site.acts.append("signed_in", actor=name, details={"from": address})
    return session
