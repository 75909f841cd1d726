"""The review site: FastAPI, Jinja2 and htmx; every page works without JavaScript too."""

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as AnyHTTPException

from safegen.audit.review import doors, exports, judging, managing, reading
from safegen.audit.review.render import failed
from safegen.audit.review.site import HEADERS, Site, check_origin
from safegen.errors import SafeGenError

_LONGEST = 65_536  # bytes of a form: room for the longest reason, each character of it spelt out
_FORM = "application/x-www-form-urlencoded"


def create_app(site: Site, hosts: Sequence[str]) -> FastAPI:
    """The application.

    Args:
        site: what it serves.
        hosts: the names under which browsers reach it; requests for others are refused.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    served = [_plain(each) for each in hosts]
    app.mount("/static", StaticFiles(packages=[("safegen.audit.review", "static")]))
    for part in (doors, reading, judging, managing, exports):
        app.include_router(part.router)
    # FastAPI makes its routes when first asked for one, and silences Python's warnings for all
    # threads meanwhile: here no request is served yet, and what is wrong with one shows at once.
    app.openapi()

    @app.middleware("http")
    async def guarded(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        try:
            _check_host(request, served)
            if request.method not in ("GET", "HEAD"):
                check_origin(request)
            _check_body(request)
            response = await call_next(request)
        except HTTPException as refused:
            response = failed(request, refused)
        response.headers.update(HEADERS)
        if site.secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if not request.url.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-store"
        return response

    for kind in (AnyHTTPException, RequestValidationError, SafeGenError):
        app.add_exception_handler(kind, failed)
    return app


def _check_host(request: Request, served: Sequence[str]) -> None:
    """Refuse a request for another host's name: a page elsewhere may have bound it to us."""
    given = request.headers.get("host", "")
    # Browsers put IPv6 addresses in brackets, and write them in their shortest form.
    literal = given.startswith("[")
    name = _plain(given[1:].partition("]")[0] if literal else given.partition(":")[0])
    if not any(name == each or (each[:1] == "*" and name.endswith(each[1:])) for each in served):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "Invalid host header: see --name.")


def _check_body(request: Request) -> None:
    """Refuse what is no form of this site, before any of it is read or kept, whoever sends it.

    The server reads no more than the length that was told; browsers and proxies tell it.
    """
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal():
        raise HTTPException(HTTPStatus.LENGTH_REQUIRED, "A form must tell its length.")
    if len(length) > 10 or int(length) > _LONGEST:
        raise HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A form has {_LONGEST} bytes at the most."
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if int(length) and kind != _FORM:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Expected a form as {_FORM}.")


def _plain(host: str) -> str:
    """A host's name, or its address, in the one form in which they are compared."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    return host.lower()
