"""What is taken away: records as a table, false alarms as tests of a policy; each is recorded."""

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response

from safegen.audit.filters import Filters, State
from safegen.audit.index import Index
from safegen.audit.review.cases import cases
from safegen.audit.review.reading import asked, parsed
from safegen.audit.review.render import Text, download
from safegen.audit.review.site import Site, visiting
from safegen.audit.search import every, search
from safegen.audit.sheet import csv_lines
from safegen.errors import InputError

router = APIRouter(default_response_class=Response)
_MOST_TESTS = 1000  # more say little more, and a policy file has its limits


@router.post("/timeline.csv")
def timeline_csv(request: Request, csrf: Text = "") -> Response:
    """The records that the filters of the address let through, as CSV."""
    given = asked(request.query_params)
    filters = parsed(given)
    with visiting(request, lambda role: role.audits, csrf=csrf) as visit:
        search(visit.index, filters, limit=1)  # a misspelt name is told before it begins
        told = {name: value for name, value in given.items() if value}
        with visit.acting():
            visit.site.acts.append("exported", actor=visit.name, details={"as": "csv", **told})
    return download(_csv(visit.site, filters), "text/csv", "records.csv")


@router.post("/false-alarms.yaml")
def false_alarms(request: Request, csrf: Text = "", policy: Text = "", rule: Text = "") -> Response:
    """The newest overturned records of a policy, of one rule or all, as tests of it."""
    if not policy:
        raise InputError("tests are of one policy, and none was named", "choose a policy")
    with visiting(request, csrf=csrf) as visit:
        filters = Filters(state=State.OVERTURNED, policy=policy, rule=rule)
        found = (
            visit.index.record(row.seq)[1] for row in every(visit.index, filters, limit=_MOST_TESTS)
        )
        text = cases(policy, found)
        details = {"as": "tests", "policy": policy, "rule": rule}
        with visit.acting():
            visit.site.acts.append("exported", actor=visit.name, details={**details})
    return download(iter([text]), "application/yaml", "false-alarms.yaml")


def _csv(site: Site, filters: Filters) -> Iterator[str]:
    with Index.open(site.ledger, written=site.written) as index:
        found = (index.record(row.seq) for row in every(index, filters))
        yield from csv_lines((row.seq, record, row.state) for row, record in found)
