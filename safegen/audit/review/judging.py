"""Looking at held images, and giving verdicts: each an event of the ledger."""

import io
from http import HTTPStatus
from typing import NamedTuple

from fastapi import APIRouter, HTTPException, Request, Response
from PIL import Image

from safegen.audit.explain import event_in_words
from safegen.audit.filters import VERDICTS, Filters, State
from safegen.audit.ladder import hidden
from safegen.audit.review import leases
from safegen.audit.review.accounts import Role
from safegen.audit.review.render import Text, go, page
from safegen.audit.review.site import Site, Visit, visiting
from safegen.audit.row import Row
from safegen.audit.search import Cursor, search
from safegen.errors import InputError
from safegen.nouns import ImageRecord, Record

router = APIRouter(default_response_class=Response)
WAITING = (State.OPEN, State.ESCALATED)
_SMALL = 256  # pixels of a side: what a blurred picture can show needs no more
_AHEAD = 50  # records that are tried when the next one is wanted


class Figure(NamedTuple):
    """An image of a record, as a page shows it."""

    seq: int
    number: int
    image: ImageRecord
    held: bool
    sharp: bool


def judges(role: Role) -> bool:
    """Whether a role sees held images and gives verdicts."""
    return role.judges


def figure(visit: Visit, row: Row, record: Record, number: int) -> Figure:
    """An image of a record for this session."""
    image, images = record.images[number], visit.site.images
    held = visit.role.judges and images is not None and images.intact(image.held)
    sharp = held and leases.revealed(visit.accounts, visit.session, record.id, number)
    return Figure(row.seq, number, image, held, sharp)


def seen_of(visit: Visit, record: Record) -> tuple[str, str]:
    """The last verdict about a record: its number, which forms send back, and what it says."""
    found = [each for each in visit.index.events_about(record.id) if each[1].what in VERDICTS]
    return (str(found[-1][0]), event_in_words(found[-1][1])) if found else ("", "")


@router.get("/records/{seq:number}/images/{number:number}/{look}.png")
def image(request: Request, seq: int, number: int, look: str) -> Response:
    """A held image: blurred and grey for who judges, sharp for who asked for it."""
    with visiting(request, judges, for_image=True) as visit:
        _, record = visit.record(seq)
        picture = _held(visit.site, record, number)
        if look == "blurred":
            picture.thumbnail((_SMALL, _SMALL))
            picture = hidden(picture).convert("L")
        elif look != "sharp":
            raise HTTPException(HTTPStatus.NOT_FOUND)
        elif not leases.revealed(visit.accounts, visit.session, record.id, number):
            raise HTTPException(HTTPStatus.FORBIDDEN, "Ask for the image on its record first.")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return Response(buffer.getvalue(), media_type="image/png")


@router.post("/records/{seq:number}/images/{number:number}/reveal")
def reveal(request: Request, seq: int, number: int, csrf: Text = "") -> Response:
    """Show an image sharp, which the ledger tells."""
    with visiting(request, judges, csrf=csrf) as visit:
        row, record = visit.record(seq)
        _held(visit.site, record, number)
        with visit.acting():
            if row.state in WAITING:  # who looks goes on holding it
                leases.take(visit.accounts, record.id, visit.session.account)
            leases.reveal(visit.accounts, visit.session, record.id, number)
            visit.site.acts.append(
                "image_viewed", actor=visit.name, about=record.id, details={"image": number}
            )
        if request.headers.get("hx-request"):
            return page("figure.html", visit, figure=figure(visit, row, record, number))
    return go(f"/records/{seq}#image-{number}")


@router.post("/next")
def next_one(
    request: Request, csrf: Text = "", state: Text = State.OPEN, left: Text = ""
) -> Response:
    """Go to the first waiting record that nobody else looks at, behind the one that is left."""
    waiting = waiting_as(state)
    with visiting(request, judges, csrf=csrf) as visit:
        if not left.isdecimal():
            return go(_next(visit, waiting))
        row, record = visit.record(int(left))
        leases.give_back(visit.accounts, record.id, visit.session.account)
        return go(_next(visit, waiting, behind=row))


@router.post("/records/{seq:number}/verdict")
def verdict(
    request: Request,
    seq: int,
    csrf: Text = "",
    verdict: Text = "",
    reason: Text = "",
    image: Text = "",
    seen: Text = "",
) -> Response:
    """Uphold, overturn or escalate: an event, never a change of the record.

    Where it leaves images open, one stays; else the next record comes.
    """
    with visiting(request, judges, csrf=csrf) as visit:
        row, record = visit.record(seq)
        if verdict not in VERDICTS:
            raise InputError(f"there is no verdict {verdict!r}", "uphold, overturn or escalate")
        if not reason.strip():
            raise InputError("a verdict needs a reason", "say it in a few words")
        if image and image not in map(str, visit.index.standing.images(seq)):
            raise InputError(
                f"the record has no image {image!r} that was flagged or withheld",
                "choose one of those, or the whole request",
            )
        with visit.acting():
            holder = leases.take(visit.accounts, record.id, visit.session.account).name
            if holder != visit.name:
                raise HTTPException(HTTPStatus.CONFLICT, f"{holder} is looking at this record.")
            visit.index.update()
            last, said = seen_of(visit, record)
            if last != seen:
                raise HTTPException(
                    HTTPStatus.CONFLICT,
                    f"The record was judged since this page was made: {said}\n"
                    "Your verdict is not recorded. Go back, load the page again, and judge anew.",
                )
            visit.site.acts.append(
                verdict,
                actor=visit.name,
                about=record.id,
                reason=reason.strip(),
                details={"image": int(image)} if image else {},
            )
            visit.index.update()
            state = visit.record(seq)[0].state
            stays = state in WAITING and state == row.state and state != verdict
            if not stays:
                leases.give_back(visit.accounts, record.id, visit.session.account)
        if stays:
            return go(f"/records/{seq}?done={seq}")
        queue = State.ESCALATED if row.state == State.ESCALATED else State.OPEN
        return go(f"{_next(visit, queue, behind=row)}?done={seq}")


def waiting_as(state: str) -> State:
    """One of the queues.

    Raises:
        InputError: there is no such queue.
    """
    if state not in WAITING:
        raise InputError(f"there is no queue {state!r}", f"give one of {', '.join(WAITING)}")
    return State(state)


def _next(visit: Visit, state: State, behind: Row | None = None) -> str:
    """Where the next record is that waits, from the beginning again where there is none behind."""
    account, filters = visit.session.account, Filters(state=state)
    for after in (Cursor(behind.time, behind.seq), None) if behind else (None,):
        found = search(visit.index, filters, after=after, limit=_AHEAD, oldest_first=True)
        ids = {row.id: row.seq for row in found.rows if row != behind}
        if taken := leases.take_first(visit.accounts, ids, account):
            return f"/records/{ids[taken]}"
    return "/"


def _held(site: Site, record: Record, number: int) -> Image.Image:
    """A held image; a crafted record may name anything."""
    name = record.images[number].held if number < len(record.images) else ""
    picture = site.images.get(name) if site.images and site.images.has(name) else None
    if picture is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No such image is held.")
    return picture
