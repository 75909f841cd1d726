"""What came about over time: outcomes, rules, and what reviewers said of the rules."""

import math
from datetime import UTC, datetime, timedelta

from safegen.audit.filters import Filters
from safegen.audit.index import HOUR, Index
from safegen.audit.plot import bars
from safegen.audit.search import Verdicts, counts, verdicts
from safegen.nouns import Frozen, Outcome

STEPS = {"hour": 1, "day": 24, "week": 168}
_MOST_STEPS = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Step(Frozen):
    """What came about from `time` on, for one step of time."""

    time: str
    requests: int
    outcomes: dict[str, int] = {}
    rules: dict[str, int] = {}


class Trends(Frozen):
    """Counts over time and the reviewers' verdicts; steps in which nothing happened are there."""

    hours: int
    steps: tuple[Step, ...] = ()
    verdicts: tuple[Verdicts, ...] = ()

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(step.requests for step in self.steps)

    @property
    def rules(self) -> dict[str, int]:
        """Rule or check -> how often it fired or flagged, most first."""
        total: dict[str, int] = {}
        for step in self.steps:
            for rule, count in step.rules.items():
                total[rule] = total.get(rule, 0) + count
        return dict(sorted(total.items(), key=lambda each: (-each[1], each[0])))

    @property
    def outcomes(self) -> dict[str, int]:
        """Outcome -> how often it came about, in the order of gravity."""
        total = {name: sum(s.outcomes.get(name, 0) for s in self.steps) for name in Outcome}
        return {name.value: count for name, count in total.items() if count}

    def plots(self) -> list[str]:
        """SVG figures: outcomes, and the rules that fired most."""
        times = [step.time for step in self.steps]
        outcomes = {n: [s.outcomes.get(n, 0) for s in self.steps] for n in self.outcomes}
        most = list(self.rules)[:8]
        rules = {name: [step.rules.get(name, 0) for step in self.steps] for name in most}
        return [bars("Requests by outcome", times, outcomes), bars("Rules fired", times, rules)]


def trends(index: Index, filters: Filters, hours: int) -> Trends:
    """Trends in steps of so many hours, longer ones where there would be too many.

    Args:
        index: of the ledger.
        filters: only `since` and `until` are heeded, to the hour.
        hours: length of a step.
    """
    hourly = counts(index, filters, "outcome", hours)
    if not hourly:
        return Trends(hours=hours, verdicts=tuple(verdicts(index)))
    # One crafted or wrong clock must not make millions of empty steps.
    span = (max(hourly) - min(hourly)) // (hours * HOUR) + 1
    if span > _MOST_STEPS:
        hours *= math.ceil(span / _MOST_STEPS)
        hourly = counts(index, filters, "outcome", hours)
    rules = counts(index, filters, "rule", hours)
    size = hours * HOUR
    return Trends(
        hours=hours,
        steps=tuple(
            Step(
                time=_told(time, hours),
                requests=sum(hourly.get(time, {}).values()),
                outcomes=hourly.get(time, {}),
                rules=rules.get(time, {}),
            )
            for time in range(min(hourly), max(hourly) + size, size)
        ),
        verdicts=tuple(verdicts(index)),
    )


def _told(ms: int, hours: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=ms)  # before 1970 too, on every system
    return moment.strftime("%Y-%m-%d" if hours % 24 == 0 else "%Y-%m-%d %H:%M")
