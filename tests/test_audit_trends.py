"""Trends and their plots."""

from pathlib import Path
from xml.etree import ElementTree

from ledgers import ledger, record

from safegen.audit.filters import Filters
from safegen.audit.index import Index
from safegen.audit.plot import bars, line
from safegen.audit.trends import Trends, trends
from safegen.nouns import Outcome


def of(folder: Path, hours: int) -> Trends:
    """The trends of a ledger."""
    with Index.open(folder) as index:
        index.update()
        return trends(index, Filters(), hours)


def test_steps_without_requests_are_there(tmp_path: Path) -> None:
    """A day without requests is a gap in the plot, not left out of it."""
    folder = ledger(tmp_path, record(0), record(1, Outcome.BLOCKED, hours=48))
    found = of(folder, 24)

    assert [(step.time, step.requests) for step in found.steps] == [
        ("2026-01-01", 1), ("2026-01-02", 0), ("2026-01-03", 1)
    ]  # fmt: skip
    assert found.outcomes == {"allowed": 1, "blocked": 1}
    assert found.rules == {"block.gore": 1}


def test_weeks_begin_on_monday(tmp_path: Path) -> None:
    """Sunday's last hour is of one week, and Monday's first of the next, in any century."""
    sunday, monday = record(0, hours=4 * 24 - 1), record(1, hours=4 * 24)
    first = record(2).model_copy(update={"time": "1970-01-01T00:00:00+00:00"})
    folder = ledger(tmp_path / "a", sunday, monday)

    assert [step.time for step in of(folder, 168).steps] == ["2025-12-29", "2026-01-05"]
    assert of(ledger(tmp_path / "b", first), 168).steps[0].time == "1969-12-29"


def test_a_wrong_clock_makes_no_millions_of_steps(tmp_path: Path) -> None:
    """Where there would be too many steps, they are longer; no request is lost."""
    wrong = record(1).model_copy(update={"time": "1970-01-01T00:00:00+00:00"})
    found = of(ledger(tmp_path, record(0), wrong), 1)

    assert len(found.steps) <= 1000
    assert found.requests == 2


def test_an_empty_ledger_has_no_trends(tmp_path: Path) -> None:
    """Nothing counted is nothing drawn, and no error."""
    found = of(ledger(tmp_path), 24)

    assert found.steps == ()
    assert all("<rect" not in plot for plot in found.plots())


def test_plots_are_whole_and_harmless() -> None:
    """A plot is well-formed, its bars add up, and names cannot leave their place."""
    evil = '"><script>alert(1)</script>'
    root = ElementTree.fromstring(bars(evil, ["a", "b"], {evil: [1, 0], "allowed": [3, 2]}))  # noqa: S314 - ours
    tall = [float(each.attrib["height"]) for each in root.find("svg").findall("rect")]  # type: ignore[union-attr]

    assert [round(each) for each in tall] == [50, 150, 100]
    assert not list(root.iter("script"))


def test_lines_of_characters() -> None:
    """0 alone is empty; the highest is full; the least of the rest is seen."""
    assert line([0, 1, 100, 50]) == " ▁█▄"
