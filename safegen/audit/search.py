"""Questions to an index: pages of records, counts over time, what reviewers say of each rule."""
# ruff: noqa: S608 - the SQL is put together from text of this file; values are bound

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Self

from safegen.audit.filters import Filters, State
from safegen.audit.index import HOUR, Index
from safegen.audit.row import COLUMNS, OUTCOMES, Row, row_of
from safegen.audit.standing import STATES
from safegen.errors import InputError
from safegen.nouns import Frozen

_CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,18})")  # what SQLite takes for a number
# A condition that holds for fewer records than this is looked up; else records are looked through.
_RARE = 2_000
_MONDAY = 3 * 24  # hours from one to the beginning of 1970
# How many records a page looks through at most; a page that ends there says where to go on.
_LOOKED_THROUGH = 50_000


class Cursor(NamedTuple):
    """Where a page ended: time in ms since 1970, and number."""

    time: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From its text form.

        Raises:
            InputError: it is not one.
        """
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise InputError(f"{text!r} is not a place in the list", "begin at its first page")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.time}.{self.seq}"


class Page(NamedTuple):
    """Records, and where the next page begins; `None` if there is none.

    A page may hold fewer records than asked for, or none, and still have a next one: no more
    than so many are looked through at a time.
    """

    rows: list[Row]
    next: Cursor | None


class Verdicts(Frozen):
    """What reviewers said of the records that a rule stopped."""

    rule: str
    upheld: int
    overturned: int

    @property
    def false_alarms(self) -> float:
        """The share of them that was overturned."""
        return self.overturned / (self.upheld + self.overturned)


class _Condition(NamedTuple):
    """`holds` is true of the records wanted; `found` gives their numbers.

    `in_order`: an index holds them in the order of time, so that no other need be looked at.
    """

    holds: str
    found: str
    values: tuple[object, ...]
    in_order: bool = False


def search(
    index: Index,
    filters: Filters,
    *,
    after: Cursor | None = None,
    limit: int = 50,
    oldest_first: bool = False,
) -> Page:
    """A page of the records that fit, newest first; fast at any size.

    Raises:
        InputError: a filter names something that does not occur.
    """
    conditions = list(_conditions(index, filters))
    sign, back, order = (">", "<=", "ASC") if oldest_first else ("<", ">=", "DESC")
    ordered = f"ORDER BY time {order}, seq {order}"
    window, values = _window(filters)
    if after is not None:
        window, values = f"{window} AND (time, seq) {sign} (?, ?)", (*values, *after)
    walked = next((each for each in conditions if each.in_order), None)
    alone = walked is not None and len(conditions) == 1
    rare = [] if alone else [each for each in conditions if _is_rare(index, each)]
    end = None
    if rare:
        conditions.remove(rare[0])
        window, values = f"{window} AND seq IN ({rare[0].found})", (*values, *rare[0].values)
    elif walked is not None:
        conditions.remove(walked)
        window, values = f"{window} AND {walked.holds}", (*values, *walked.values)
    source = f"FROM records WHERE {window}"
    if conditions and not rare:
        end = _last_looked_at(index, f"{source} {ordered}", values)
        if end is not None:
            source, values = f"{source} AND (time, seq) {back} (?, ?)", (*values, *end)
    source += "".join(f" AND {condition.holds}" for condition in conditions)
    values += tuple(value for condition in conditions for value in condition.values)
    found = index.database.execute(
        f"SELECT {COLUMNS} {source} {ordered} LIMIT ?", (*values, limit + 1)
    ).fetchall()
    rows = [row_of(each) for each in found[:limit]]
    if len(found) > limit:
        return Page(rows, Cursor(rows[-1].time, rows[-1].seq))
    return Page(rows, end)


def every(index: Index, filters: Filters, *, limit: int | None = None) -> Iterator[Row]:
    """All records that fit, newest first, or so many of them."""
    page = Page([], None)
    while limit is None or limit > 0:
        size = 1000 if limit is None else min(limit, 1000)
        page = search(index, filters, after=page.next, limit=size)
        yield from page.rows
        if page.next is None:
            return
        limit = limit if limit is None else limit - len(page.rows)


def count_open(index: Index, state: State) -> int:
    """How many records stand so with the reviewers."""
    found = index.database.execute(
        "SELECT count(*) FROM records WHERE state = ?", (STATES.index(state),)
    )
    return int(found.fetchone()[0])


def counts(
    index: Index, filters: Filters, kind: Literal["outcome", "rule"], hours: int
) -> dict[int, dict[str, int]]:
    """How often each outcome came about, or each rule fired: time in ms -> name -> count.

    Args:
        index: of the ledger.
        filters: only `since` and `until` are heeded, to the hour.
        kind: what is counted.
        hours: length of a step of time; a day begins at midnight UTC, a week on Monday.
    """
    window, values = _window(filters, unit=HOUR, column="hour")
    found = index.database.execute(
        f"SELECT (hour + ?) / ? AS step, name, sum(count) FROM hours WHERE kind = ? AND {window} "
        "GROUP BY step, name ORDER BY step",
        (_MONDAY, hours, kind, *values),
    )
    result: dict[int, dict[str, int]] = {}
    for step, name, count in found:
        result.setdefault((step * hours - _MONDAY) * HOUR, {})[name] = count
    return result


def verdicts(index: Index) -> list[Verdicts]:
    """What reviewers said of each rule or check that stopped something, worst first."""
    upheld, overturned = (STATES.index(each) for each in (State.UPHELD, State.OVERTURNED))
    found = index.database.execute(
        "SELECT name, sum(count * (state = ?)), sum(count * (state = ?)) FROM judged "
        "JOIN names ON number = rule GROUP BY rule",
        (upheld, overturned),
    )
    each_rule = [
        Verdicts(rule=rule, upheld=up, overturned=over) for rule, up, over in found if up + over
    ]
    return sorted(each_rule, key=lambda each: (-each.false_alarms, -each.overturned, each.rule))


def _last_looked_at(index: Index, source: str, values: tuple[object, ...]) -> Cursor | None:
    """Where a page ends that fewer records fit than it has room for; None if at the very end."""
    found = index.database.execute(
        f"SELECT time, seq {source} LIMIT 1 OFFSET ?", (*values, _LOOKED_THROUGH - 1)
    ).fetchone()
    return Cursor(*found) if found else None


def _window(
    filters: Filters, unit: int = 1, column: str = "time"
) -> tuple[str, tuple[object, ...]]:
    moments = {">=": filters.since, "<": filters.until}
    bounds = {op: int(m.timestamp() * 1000) // unit for op, m in moments.items() if m}
    text = " AND ".join(f"{column} {op} ?" for op in bounds)
    return text or "true", tuple(bounds.values())


def _conditions(index: Index, filters: Filters) -> Iterator[_Condition]:
    if filters.outcome:
        yield _equal("outcome", [OUTCOMES.index(filters.outcome)])
    if filters.state:
        yield _equal("state", [STATES.index(filters.state)])
    if filters.tenant:
        yield _equal("tenant", index.names.numbers("tenant", filters.tenant))
    if filters.subjects:
        if not any(map(index.count_of, filters.subjects)):
            raise InputError(
                f"no record is of the user {', '.join(filters.subjects)}", "see: audit show"
            )
        yield _equal("subject", filters.subjects)
    if filters.policy:
        yield _equal("policy", index.names.numbers("policy", filters.policy))
    if filters.rule:
        yield _member("fired", "rule = ?", (*index.names.numbers("rule", filters.rule),))
    for bound in filters.scores:
        number = index.names.numbers("score", bound.name)
        yield _member("scores", f"score = ? AND value {bound.op} ?", (*number, bound.value))


def _equal(column: str, numbers: Sequence[int | str]) -> _Condition:
    marks = ", ".join("?" * len(numbers))
    holds = f"records.{column} IN ({marks})"
    found = f"SELECT seq FROM records WHERE {holds}"
    return _Condition(holds, found, tuple(numbers), in_order=len(numbers) == 1)


def _member(table: str, where: str, values: tuple[object, ...]) -> _Condition:
    return _Condition(
        f"EXISTS (SELECT 1 FROM {table} WHERE {table}.seq = records.seq AND {where})",
        f"SELECT seq FROM {table} WHERE {where}",
        values,
    )


def _is_rare(index: Index, condition: _Condition) -> bool:
    found = index.database.execute(
        f"SELECT count(*) FROM ({condition.found} LIMIT ?)", (*condition.values, _RARE)
    )
    return int(found.fetchone()[0]) < _RARE
