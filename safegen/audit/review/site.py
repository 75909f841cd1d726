"""What every page of the review site needs: who asks, what they may, and what is kept open."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from secrets import compare_digest
from urllib.parse import quote

from fastapi import HTTPException, Request
from starlette.convertors import IntegerConvertor, register_url_convertor

from safegen.audit.held import ImageStore
from safegen.audit.index import Index
from safegen.audit.ledger.query import SingleLines
from safegen.audit.review.accounts import Accounts, Role, Session
from safegen.audit.review.acts import Acts
from safegen.audit.review.throttle import Throttle
from safegen.audit.row import Row
from safegen.audit.sqlite import writing
from safegen.errors import LedgerError
from safegen.nouns import Record

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_REQUESTS = 300  # that one account may make in a minute
_PICTURES = 3000  # likewise: a page asks for all images of its record


class _Number(IntegerConvertor):
    """A number in a path, never one that Python or SQLite refuses for its length."""

    regex = "[0-9]{1,18}"


register_url_convertor("number", _Number())


def anyone(role: Role) -> bool:
    """Whoever is signed in."""
    return bool(role)


@dataclass(frozen=True)
class Site:
    """What the site is made of.

    `secure`: it is reached by https, so cookies are sent over nothing else.
    """

    ledger: Path
    acts: Acts
    images: ImageStore | None
    secure: bool
    # Failures to sign in, and requests of those who are, for pages and acts or for images.
    failures: Throttle = field(default_factory=lambda: Throttle(5 * 60))
    requests: Throttle = field(default_factory=lambda: Throttle(60))
    pictures: Throttle = field(default_factory=lambda: Throttle(60))
    # Each hash of a password takes 64 MiB for a moment.
    hashing: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))

    @cached_property
    def written(self) -> SingleLines:
        """The ledger's lines, each of which is checked when it is first shown."""
        return SingleLines(self.ledger)

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; browsers bind `__Host-` to this host and https."""
        return "__Host-safegen" if self.secure else "safegen"


@dataclass(frozen=True)
class Visit:
    """A request of somebody who is signed in and may do this."""

    site: Site
    session: Session
    index: Index
    accounts: Accounts
    may: Callable[[Role], bool]

    @property
    def name(self) -> str:
        """Of the account."""
        return self.session.account.name

    @property
    def role(self) -> Role:
        """Of the account."""
        return self.session.account.role

    def record(self, seq: int) -> tuple[Row, Record]:
        """The record with this number.

        Raises:
            HTTPException: there is none.
        """
        try:
            return self.index.record(seq)
        except (LedgerError, OverflowError) as error:
            raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error

    @contextmanager
    def acting(self) -> Iterator[None]:
        """What the block does to accounts and leases, all or nothing, while nobody else acts.

        Raises:
            HTTPException: the account was signed out, or may do this no longer.
        """
        with writing(self.accounts.database):
            session = self.accounts.session(self.session.token)
            if session is None:
                raise _signed_out()
            _check(self.may, session.account.role)
            yield


@contextmanager
def visiting(
    request: Request,
    may: Callable[[Role], bool] = anyone,
    *,
    csrf: str | None = None,
    for_image: bool = False,
) -> Iterator[Visit]:
    """Let in who is signed in and may do this, with the index up to date.

    Args:
        request: of the browser.
        may: whether a role may do this.
        csrf: what the form sent; needed for whatever changes something.
        for_image: whether it is one of the many requests that a page of images makes.

    Raises:
        HTTPException: sends to the sign-in, or forbids.
    """
    site = site_of(request)
    with Accounts.open(site.ledger) as accounts:
        session = accounts.session(request.cookies.get(site.cookie, ""))
        if session is None:
            raise _to_sign_in(request)
        counted, most = (site.pictures, _PICTURES) if for_image else (site.requests, _REQUESTS)
        if wait := counted.take({session.account.name: most}):
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"More than {most} requests in a minute. Go on in {wait} seconds.",
                {"Retry-After": str(wait)},
            )
        if request.method == "POST" and not compare_digest(
            (csrf or "").encode("utf-8", "replace"), session.csrf.encode()
        ):
            raise HTTPException(
                HTTPStatus.FORBIDDEN, "The form was not made for you. Load the page again."
            )
        _check(may, session.account.role)
        with Index.open(site.ledger, written=site.written) as index:
            index.update()
            yield Visit(site, session, index, accounts, may)


def site_of(request: Request) -> Site:
    """The site that a request came to."""
    site: Site = request.app.state.site
    return site


def check_origin(request: Request) -> None:
    """Refuse what another site makes a browser send.

    Raises:
        HTTPException: forbids.
    """
    origin = request.headers.get("origin")
    fetch = request.headers.get("sec-fetch-site", "same-origin")
    if fetch != "same-origin" or (
        origin is not None and origin.partition("://")[2] != request.headers.get("host")
    ):
        raise HTTPException(HTTPStatus.FORBIDDEN, "Sent by another site.")


def local(path: str) -> str:
    """A path of this site to go on to; `/` for whatever leads elsewhere."""
    plain = path.isprintable() and "\\" not in path
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"


def _check(may: Callable[[Role], bool], role: Role) -> None:
    if not may(role):
        raise HTTPException(HTTPStatus.FORBIDDEN, f"Not for the role {role}.")


def _signed_out() -> HTTPException:
    return HTTPException(HTTPStatus.UNAUTHORIZED, "Signed out. Sign in again.")


def _to_sign_in(request: Request) -> HTTPException:
    if request.method != "GET":
        return _signed_out()
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return HTTPException(
        HTTPStatus.SEE_OTHER, headers={"Location": f"/sign-in?then={quote(asked, safe='')}"}
    )
