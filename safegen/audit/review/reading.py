"""Pages to read: the queue, the timeline, a record, trends, and what people did."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from safegen.audit.explain import event_in_words, explained
from safegen.audit.filters import Filters, State
from safegen.audit.ladder import flagged
from safegen.audit.review import leases
from safegen.audit.review.judging import WAITING, figure, seen_of, waiting_as
from safegen.audit.review.render import page
from safegen.audit.review.site import Visit, visiting
from safegen.audit.row import Row
from safegen.audit.search import Cursor, count_open, search
from safegen.audit.trends import STEPS, trends
from safegen.errors import InputError
from safegen.nouns import Outcome, Record

router = APIRouter(default_response_class=Response)
PAGE = 50
_FILTERS = ("since", "until", "outcome", "rule", "score", "tenant", "policy", "state")
_Done = Annotated[int | None, Query(ge=0, lt=2**62, description="number of the last one judged")]
_AROUND = re.compile(r"\s*([<>]=?)\s*")  # "violence >= 0.8" is one bound
_DAYS = 30  # of what people did, in the table by account


@router.get("/")
def queue(request: Request, state: str = "open", after: str = "", done: _Done = None) -> Response:
    """What waits for a person, oldest first."""
    filters = Filters(state=waiting_as(state))
    with visiting(request) as visit:
        rows, later = _listed(visit, filters, after, oldest_first=True)
        return page(
            "queue.html",
            visit,
            rows=rows,
            later=later,
            state=filters.state,
            waiting={each: count_open(visit.index, each) for each in WAITING},
            holders=leases.holders(visit.accounts, [record.id for _, record in rows]),
            done=_done(visit, done),
        )


@router.get("/timeline")
def timeline(request: Request, after: str = "") -> Response:
    """All records, newest first, with filters."""
    given = asked(request.query_params)
    with visiting(request) as visit:
        rows, older = _listed(visit, parsed(given), after)
        return page(
            "timeline.html",
            visit,
            rows=rows,
            older=older,
            after=after,
            asked=given,
            outcomes=list(Outcome),
            states=list(State),
            rules=visit.index.names.of("rule"),
        )


@router.get("/records/{seq:number}")
def record(request: Request, seq: int, done: _Done = None) -> Response:
    """One record with all that is known of it; who judges holds it for a while."""
    with visiting(request) as visit:
        row, found = visit.record(seq)
        holder = ""
        if visit.role.judges and row.state in WAITING:
            lease = leases.take(visit.accounts, found.id, visit.session.account)
            holder = lease.name if lease.name != visit.name else ""
        events = [event for _, event in visit.index.events_about(found.id)]
        checks = found.decision.checks if found.decision else ()
        return page(
            "record.html",
            visit,
            row=row,
            record=found,
            sections=explained(found, events),
            events=[event_in_words(event) for event in events],
            figures=[figure(visit, row, found, number) for number in range(len(found.images))],
            flagged=[flagged(image.findings, checks) for image in found.images],
            holder=holder,
            stopped=visit.index.standing.images(seq),
            seen=seen_of(visit, found)[0],
            done=_done(visit, done),
        )


@router.get("/trends")
def trends_page(request: Request, since: str = "30d", by: str = "day") -> Response:
    """Counts over time, and false alarms by rule."""
    if by not in STEPS:
        raise InputError(f"there is no step {by!r}", f"give one of {', '.join(STEPS)}")
    with visiting(request) as visit:
        policies = {name.rpartition(" ")[0] for name in visit.index.names.of("policy")}
        return page(
            "trends.html",
            visit,
            found=trends(visit.index, Filters.parse(since=since), STEPS[by]),
            since=since,
            by=by,
            steps=list(STEPS),
            policies=sorted(policies),
        )


@router.get("/activity")
def activity(
    request: Request,
    before: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
    what: str = "",
    actor: str = "",
) -> Response:
    """What people did, newest first: the audit of the audit."""
    with visiting(request, lambda role: role.audits) as visit:
        found = visit.index.events(before=before, what=what, actor=actor, limit=PAGE)
        since = datetime.now(UTC) - timedelta(days=_DAYS)
        counted = visit.index.count_events(since)
        return page(
            "activity.html",
            visit,
            events=found,
            seqs=visit.index.seqs([event.about for _, event in found if event.about]),
            older=found[-1][0] if len(found) == PAGE else None,
            what=what,
            actor=actor,
            counted=counted,
            kinds=sorted({kind for counts in counted.values() for kind in counts}),
            days=_DAYS,
        )


def asked(given: Mapping[str, str]) -> dict[str, str]:
    """The filters in an address, as they were typed."""
    return {name: given.get(name, "")[:500] for name in _FILTERS}


def parsed(given: Mapping[str, str]) -> Filters:
    """What was typed, understood; several scores stand apart.

    Raises:
        InputError: it cannot be.
    """
    others = {name: value for name, value in given.items() if name != "score"}
    bounds = _AROUND.sub(r"\1", given["score"]).split()
    return Filters.parse(score=bounds, **others)


def _done(visit: Visit, seq: int | None) -> Row | None:
    """The record about which a verdict was given just now."""
    return visit.record(seq)[0] if seq is not None else None


def _listed(
    visit: Visit, filters: Filters, after: str, **order: Any
) -> tuple[list[tuple[Row, Record]], Cursor | None]:
    """The records of a page, and where the next one begins."""
    cursor = Cursor.parse(after) if after else None
    found = search(visit.index, filters, after=cursor, limit=PAGE, **order)
    return [visit.index.record(row.seq) for row in found.rows], found.next
