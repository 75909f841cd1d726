"""The review page: FastAPI, Jinja2 and htmx; every page works without JavaScript too."""

import io
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Form, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from safegen.audit.explain import event_in_words, explained
from safegen.audit.filters import VERDICTS, Filters, State
from safegen.audit.index import Index, Row
from safegen.audit.ladder import hidden
from safegen.audit.review import leases
from safegen.audit.review.accounts import LONGEST, Accounts
from safegen.audit.review.cases import cases
from safegen.audit.review.site import HEADERS, Site, Visit, check_origin, local
from safegen.audit.search import Cursor, count_open, every, search
from safegen.audit.sheet import csv_lines
from safegen.audit.text import plain
from safegen.audit.trends import STEPS, trends
from safegen.errors import InputError, LedgerError, OutputError, SafeGenError
from safegen.nouns import Outcome, Record

_Text = Annotated[str, Form(max_length=4096)]
_PAGE = 50
_SMALL = 256  # pixels of a side: what a blurred picture can show needs no more


def create_app(site: Site, hosts: list[str]) -> FastAPI:
    """The application.

    Args:
        site: what it serves.
        hosts: the names under which browsers reach it; requests for others are refused.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.mount("/static", StaticFiles(packages=[("safegen.audit.review", "static")]))
    pages = Pages(site)
    for method, path, page in (
        ("GET", "/sign-in", pages.sign_in_form),
        ("POST", "/sign-in", pages.sign_in),
        ("POST", "/sign-out", pages.sign_out),
        ("GET", "/", pages.queue),
        ("POST", "/next", pages.next_one),
        ("GET", "/records", pages.records),
        ("GET", "/records/{seq:int}", pages.record),
        ("POST", "/records/{seq:int}/verdict", pages.verdict),
        ("POST", "/records/{seq:int}/images/{number:int}/reveal", pages.reveal),
        ("GET", "/records/{seq:int}/images/{number:int}/{look}.png", pages.image),
        ("GET", "/trends", pages.trends),
        ("GET", "/events", pages.events),
        ("POST", "/records.csv", pages.export_csv),
        ("POST", "/cases.yaml", pages.export_cases),
    ):
        app.add_api_route(path, page, methods=[method], response_model=None)

    @app.middleware("http")
    async def guarded(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        try:
            if request.method not in ("GET", "HEAD"):
                check_origin(request)
            response = await call_next(request)
        except HTTPException as refused:
            response = pages.error(request, refused)
        response.headers.update(HEADERS)
        if site.secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if not request.url.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-store"
        return response

    app.add_exception_handler(AnyHTTPException, pages.error)
    app.add_exception_handler(SafeGenError, pages.error)
    return app


class Pages:
    """The pages of a site."""

    def __init__(self, site: Site) -> None:
        """Pages of this site."""
        self.site = site
        self._templates = Environment(
            loader=PackageLoader("safegen.audit.review"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_plain,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def _page(
        self, file: str, visit: Visit | None, *, status: int = HTTPStatus.OK, **values: Any
    ) -> HTMLResponse:
        template = self._templates.get_template(file)
        csrf = visit.session.csrf if visit else ""
        page = template.render(visit=visit, csrf=csrf, **values)
        return HTMLResponse(page, status)

    def error(self, request: Request, error: Exception) -> Response:
        """What went wrong, as a page."""
        if isinstance(error, AnyHTTPException) and error.status_code < HTTPStatus.BAD_REQUEST:
            return RedirectResponse((error.headers or {})["Location"], error.status_code)
        if isinstance(error, AnyHTTPException):
            status, told = HTTPStatus(error.status_code), str(error.detail)
        else:
            mended = isinstance(error, InputError) and not isinstance(error, OutputError)
            status = HTTPStatus.BAD_REQUEST if mended else HTTPStatus.SERVICE_UNAVAILABLE
            told = str(error)
        return self._page("error.html", None, status=status, title=status.phrase, told=told)

    # --- signing in and out -----------------------------------------------------------------

    def sign_in_form(self, then: Annotated[str, Query(max_length=4096)] = "/") -> Response:
        """The form."""
        return self._page("sign_in.html", None, then=local(then), told="", name="")

    def sign_in(
        self, request: Request, name: _Text = "", password: _Text = "", then: _Text = "/"
    ) -> Response:
        """Begin a session; the same answer for a wrong name and a wrong password."""
        address = request.client.host if request.client else ""
        keys = {f"account {name}": 5, f"address {address}": 20}
        wait = max(self.site.throttle.wait(key, allowed) for key, allowed in keys.items())
        again: dict[str, Any] = {"then": local(then), "name": name[:64]}
        if wait:
            told = f"Too many failed attempts. Try again in {wait} seconds."
            late = self._page("sign_in.html", None, status=429, told=told, **again)
            late.headers["Retry-After"] = str(wait)
            return late
        with Accounts.open(self.site.ledger) as accounts:
            with self.site.checking:
                account = accounts.check(name, password) if len(password) <= LONGEST else None
            if account is None:
                for key in keys:
                    self.site.throttle.failed(key)
                known = name if name in {each.name for each in accounts.list()} else ""
                self.site.acts.append("sign_in_refused", actor=known, details={"from": address})
                told = "Name or password is wrong."
                return self._page("sign_in.html", None, status=403, told=told, **again)
            self.site.throttle.forget(f"account {name}")
            self.site.acts.append("signed_in", actor=account.name, details={"from": address})
            session = accounts.sign_in(account)
        response = _go(local(then))
        response.set_cookie(
            self.site.cookie,
            session.token,
            httponly=True,
            secure=self.site.secure,
            samesite="lax",
            path="/",
        )
        return response

    def sign_out(self, request: Request, csrf: _Text = "") -> Response:
        """End the session."""
        with self.site.visit(request, csrf=csrf) as visit:
            self.site.acts.append("signed_out", actor=visit.name)
            visit.accounts.sign_out(visit.session)
        response = _go("/sign-in")
        response.delete_cookie(self.site.cookie, path="/", secure=self.site.secure)
        return response

    # --- reading ----------------------------------------------------------------------------

    def queue(self, request: Request, state: str = "open", after: str = "") -> Response:
        """What waits for a person, oldest first."""
        filters = Filters.parse(state=state)
        with self.site.visit(request) as visit:
            waiting = {
                each: count_open(visit.index, each) for each in (State.OPEN, State.ESCALATED)
            }
            return self._list(
                visit, "queue.html", filters, after, oldest=True, waiting=waiting, state=state
            )

    def records(self, request: Request, after: str = "") -> Response:
        """All records, newest first, with filters."""
        asked = _asked(request.query_params)
        with self.site.visit(request) as visit:
            return self._list(
                visit,
                "records.html",
                _parsed(asked),
                after,
                asked=asked,
                outcomes=list(Outcome),
                states=list(State),
                rules=visit.index.names("rule"),
            )

    def _list(
        self,
        visit: Visit,
        template: str,
        filters: Filters,
        after: str,
        *,
        oldest: bool = False,
        **more: Any,
    ) -> Response:
        cursor = Cursor.parse(after) if after else None
        found = search(visit.index, filters, after=cursor, limit=_PAGE, oldest_first=oldest)
        rows = [visit.index.record(row.seq) for row in found.rows]
        return self._page(template, visit, rows=rows, older=found.next, after=after, **more)

    def record(self, request: Request, seq: int) -> Response:
        """One record with all that is known of it; who judges holds it for a while."""
        with self.site.visit(request) as visit:
            return self._record(visit, seq)

    def _record(self, visit: Visit, seq: int) -> Response:
        row, record = self._known(visit, seq)
        events = visit.index.events_about(record.id)
        holder = ""
        if visit.role.judges and row.state in (State.OPEN, State.ESCALATED):
            lease = leases.take(visit.accounts, record.id, visit.session.account)
            holder = lease.name if lease.name != visit.name else ""
        return self._page(
            "record.html",
            visit,
            row=row,
            record=record,
            sections=explained(record, [event for _, event in events]),
            images=[self._figure(visit, seq, record, n) for n in range(len(record.images))],
            holder=holder,
            verdicts=[each.value for each in VERDICTS],
        )

    def trends(self, request: Request, since: str = "30d", by: str = "day") -> Response:
        """Counts over time, and false alarms by rule."""
        if by not in STEPS:
            raise InputError(f"there is no step {by!r}", f"give one of {', '.join(STEPS)}")
        with self.site.visit(request) as visit:
            found = trends(visit.index, Filters.parse(since=since), STEPS[by])
            return self._page(
                "trends.html", visit, found=found, since=since, by=by, steps=list(STEPS)
            )

    def events(
        self,
        request: Request,
        before: Annotated[int | None, Query(ge=0)] = None,
        what: str = "",
        actor: str = "",
    ) -> Response:
        """What people did, newest first: the audit of the audit."""
        with self.site.visit(request, lambda role: role.audits) as visit:
            found = visit.index.events(before=before, what=what, actor=actor, limit=_PAGE)
            older = found[-1][0] if len(found) == _PAGE else None
            told = [(seq, event, event_in_words(event)) for seq, event in found]
            return self._page(
                "events.html", visit, events=told, older=older, what=what, actor=actor
            )

    # --- held images ------------------------------------------------------------------------

    def image(self, request: Request, seq: int, number: int, look: str) -> Response:
        """A held image: blurred and grey for who judges, sharp for who asked for it."""
        with self.site.visit(request, lambda role: role.judges) as visit:
            _, record = self._known(visit, seq)
            picture = self._held(record, number)
            if picture is None or look not in ("blurred", "sharp"):
                raise HTTPException(HTTPStatus.NOT_FOUND, "No such image is held.")
            if look == "blurred":
                picture.thumbnail((_SMALL, _SMALL))
                picture = hidden(picture).convert("L")
            elif not leases.revealed(visit.accounts, visit.session, record.id, number):
                raise HTTPException(HTTPStatus.FORBIDDEN, "Ask for the image on its record first.")
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return Response(buffer.getvalue(), media_type="image/png")

    def reveal(self, request: Request, seq: int, number: int, csrf: _Text = "") -> Response:
        """Show an image sharp, which the ledger tells."""
        with self.site.visit(request, lambda role: role.judges, csrf=csrf) as visit:
            _, record = self._known(visit, seq)
            if self._held(record, number) is None:
                raise HTTPException(HTTPStatus.NOT_FOUND, "No such image is held.")
            self.site.acts.append(
                "image_viewed", actor=visit.name, about=record.id, details={"image": number}
            )
            leases.reveal(visit.accounts, visit.session, record.id, number)
            if request.headers.get("hx-request"):
                figure = self._figure(visit, seq, record, number)
                return self._page("figure.html", visit, figure=figure)
        return _go(f"/records/{seq}#image-{number}")

    def _figure(self, visit: Visit, seq: int, record: Record, number: int) -> dict[str, Any]:
        held = visit.role.judges and self._held(record, number) is not None
        sharp = held and leases.revealed(visit.accounts, visit.session, record.id, number)
        image = record.images[number]
        return {"seq": seq, "number": number, "held": held, "sharp": sharp, "image": image}

    def _held(self, record: Record, number: int) -> Image.Image | None:
        if self.site.images is None or number >= len(record.images):
            return None
        try:
            return self.site.images.get(record.images[number].held)
        except InputError:  # none was held, or a crafted record names something else
            return None

    # --- acting -----------------------------------------------------------------------------

    def next_one(self, request: Request, csrf: _Text = "", state: _Text = "open") -> Response:
        """Go to the first waiting record that nobody else looks at."""
        filters = Filters.parse(state=state)
        with self.site.visit(request, lambda role: role.judges, csrf=csrf) as visit:
            return self._next(visit, filters)

    def _next(self, visit: Visit, filters: Filters) -> Response:
        rows = search(visit.index, filters, limit=_PAGE, oldest_first=True).rows
        ids = {row.id: row.seq for row in rows}
        taken = leases.take_first(visit.accounts, ids, visit.session.account)
        return _go(f"/records/{ids[taken]}" if taken else "/")

    def verdict(
        self,
        request: Request,
        seq: int,
        csrf: _Text = "",
        verdict: _Text = "",
        reason: _Text = "",
        image: _Text = "",
    ) -> Response:
        """Uphold, overturn or escalate: an event, never a change of the record."""
        with self.site.visit(request, lambda role: role.judges, csrf=csrf) as visit:
            row, record = self._known(visit, seq)
            if verdict not in VERDICTS:
                raise InputError(f"there is no verdict {verdict!r}", "uphold, overturn or escalate")
            if not reason.strip():
                raise InputError("a verdict needs a reason", "say it in a few words")
            if image and image not in map(str, range(len(record.images))):
                raise InputError(f"the record has no image {image!r}", "choose one of its images")
            holder = leases.take(visit.accounts, record.id, visit.session.account).name
            if holder != visit.name:
                raise HTTPException(HTTPStatus.CONFLICT, f"{holder} is looking at this record.")
            self.site.acts.append(
                verdict,
                actor=visit.name,
                about=record.id,
                reason=reason.strip(),
                details={"image": int(image)} if image else {},
            )
            visit.index.update()
            leases.give_back(visit.accounts, record.id, visit.session.account)
            filters = Filters(state=State(row.state if row.state != State.NONE else State.OPEN))
            return self._next(visit, filters)

    def export_csv(self, request: Request, csrf: _Text = "") -> Response:
        """The records that the filters of the address let through, as CSV."""
        asked = _asked(request.query_params)
        with self.site.visit(request, lambda role: role.audits, csrf=csrf) as visit:
            filters = _parsed(asked)
            search(visit.index, filters, limit=1)  # a misspelt name is told before it begins
            told = {name: value for name, value in asked.items() if value}
            self.site.acts.append("exported", actor=visit.name, details={"as": "csv", **told})
        return _download(self._csv(filters), "text/csv", "records.csv")

    def _csv(self, filters: Filters) -> Iterator[str]:
        with Index.open(self.site.ledger) as index:
            found = (index.record(row.seq) for row in every(index, filters))
            yield from csv_lines((row.seq, record, row.state) for row, record in found)

    def export_cases(self, request: Request, csrf: _Text = "", rule: _Text = "") -> Response:
        """Overturned records, of a rule or all, as test cases of the policy."""
        with self.site.visit(request, csrf=csrf) as visit:
            filters = Filters(state=State.OVERTURNED, rule=rule)
            found = (visit.index.record(row.seq)[1] for row in every(visit.index, filters))
            text = cases(
                (record, [event for _, event in visit.index.events_about(record.id)])
                for record in found
            )
            self.site.acts.append(
                "exported", actor=visit.name, details={"as": "cases", "rule": rule}
            )
        return _download(iter([text]), "application/yaml", "cases.yaml")

    def _known(self, visit: Visit, seq: int) -> tuple[Row, Record]:
        try:
            return visit.index.record(seq)
        except (LedgerError, OverflowError) as error:
            raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error


def _asked(given: Mapping[str, str]) -> dict[str, str]:
    names = ("since", "until", "outcome", "rule", "score", "tenant", "policy", "state")
    return {name: given.get(name, "")[:500] for name in names}


def _parsed(asked: Mapping[str, str]) -> Filters:
    others = {name: value for name, value in asked.items() if name != "score"}
    return Filters.parse(score=asked["score"].split(), **others)


def _go(path: str) -> Response:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def _download(lines: Iterator[str], kind: str, name: str) -> Response:
    head = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type=kind, headers=head)


def _plain(value: Any) -> Any:
    """Text of requests must not turn the direction of writing, nor hide."""
    return plain(value) if type(value) is str else value
