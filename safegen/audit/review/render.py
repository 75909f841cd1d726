"""The answers that a browser gets: pages from templates, redirects, files."""

from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException

from safegen.audit.review.site import Visit
from safegen.audit.text import plain
from safegen.errors import InputError, OutputError

Text = Annotated[str, Form(max_length=4096)]
"""A field of a form."""


def page(
    file: str, visit: Visit | None, *, status: int = HTTPStatus.OK, **values: Any
) -> HTMLResponse:
    """A template, for whoever visits, or for somebody who is not signed in."""
    csrf = visit.session.csrf if visit else ""
    text = _templates().get_template(file).render(visit=visit, csrf=csrf, **values)
    return HTMLResponse(text, status)


def failed(_request: Request, error: Exception) -> Response:
    """What went wrong, as a page."""
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        if error.status_code < HTTPStatus.BAD_REQUEST:
            return RedirectResponse(headers["Location"], error.status_code)
        status, told = HTTPStatus(error.status_code), str(error.detail)
    elif isinstance(error, RequestValidationError):
        # Not what was sent, which may be a password.
        wrong = ", ".join(sorted({str(each["loc"][-1]) for each in error.errors()}))
        status, told = HTTPStatus.BAD_REQUEST, f"These cannot be understood: {wrong}."
    else:
        mended = isinstance(error, InputError) and not isinstance(error, OutputError)
        status = HTTPStatus.BAD_REQUEST if mended else HTTPStatus.SERVICE_UNAVAILABLE
        told = str(error)
    answer = page("error.html", None, status=status, title=status.phrase, told=told)
    answer.headers.update(headers)
    return answer


def go(path: str) -> Response:
    """To another page, after something was done."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def download(lines: Iterator[str], kind: str, name: str) -> Response:
    """A file to keep."""
    head = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type=kind, headers=head)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("safegen.audit.review"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawn"] = lambda svg: Markup(plain(svg))  # noqa: S704 - plot escapes
    return environment


def _shown(value: Any) -> Any:
    """Text of requests must not turn the direction of writing, nor hide."""
    return plain(value) if type(value) is str else value
