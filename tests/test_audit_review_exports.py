"""What is taken away: tables without formulas, false alarms as tests, each recorded."""

import csv
import io
import threading

from reviewing import Browser, Made, events

from safegen.audit.filters import Filters
from safegen.audit.index import Index
from safegen.audit.review import exports
from safegen.audit.review.site import Site
from safegen.policy import Policy


def test_exports_are_recorded(ben: Browser, made: Made) -> None:
    """CSV has no formulas; overturned records are tests of a policy; both leave an event."""
    table = ben.post("/timeline.csv?outcome=blocked").text
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    text = ben.post("/false-alarms.yaml", policy="default").text
    tests = Policy(text).file.tests

    assert ben.post("/false-alarms.yaml").status_code == 400
    assert [row["no"] for row in rows] == ["4", "3", "1"]
    assert all(not row["tenant"].startswith("=") for row in rows)
    assert [(each.context.tenant, each.expect) for each in tests] == [("acme", "allowed")]
    assert "toy" not in text  # a reviewer's reason, which may name people
    assert [what for what, _, _ in events(made)] == ["signed_in", "exported", "exported"]


def test_a_table_is_sent_by_several_threads(made: Made, site: Site) -> None:
    """Servers make the pieces of an answer wherever a thread is free."""
    with Index.open(made.folder) as index:
        index.update()
    pieces = exports._csv(site, Filters())
    said: list[str] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: said.append(next(pieces)))
        thread.start()
        thread.join()

    pieces.close()
    assert [text.splitlines()[-1].partition(",")[0] for text in said] == ["5", "4", "3"]
