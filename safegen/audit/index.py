"""`Index`: a ledger's records in SQLite, for questions over many. Only the ledger is proof.

It holds where each line stands and what is asked for: time, outcome, rules, scores, tenant, policy,
and where the reviewers stand. It can be deleted at any time; the next use builds it anew. A ledger
that was replaced, or set back, is noticed by the hash of the last line seen, and indexed anew.

Whoever can write it can leave lines out of it or count them wrong, which nothing here finds. It
makes up no record and no event: of those it only says where they stand (`SingleLines`).
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from safegen.audit.aspects import needs_review, rules_of, scores_of, stopped_images
from safegen.audit.filters import VERDICTS, State
from safegen.audit.ledger.format import number_of
from safegen.audit.ledger.masking import subject_of
from safegen.audit.ledger.query import (
    Place,
    Placed,
    SingleLines,
    entry_of,
    lines,
    not_one,
    segments_of,
    taken,
    where,
)
from safegen.audit.names import Names
from safegen.audit.row import COLUMNS, OUTCOMES, Row, ms_of, row_of
from safegen.audit.sqlite import OnDatabase, abandon, connect, make_tables, writing
from safegen.audit.standing import SCHEMA, STATES, Standing
from safegen.errors import LedgerError
from safegen.nouns import Event, Record

NAME = "index.sqlite"
HOUR = 3_600_000
_VERSION = 5
_BATCH = 5000
_BEGINNING = 8  # characters of an id: the number beside it in a list could begin another one's
_WRONG = (
    "run: safegen audit verify; if that finds nothing, the index is wrong: delete "
    f"{NAME} (or what --index names), which the next use makes anew"
)
_SCHEMA = """
CREATE TABLE place (segment INTEGER, byte INTEGER, last INTEGER, hash TEXT,
    next_segment INTEGER, next_byte INTEGER);
CREATE TABLE names (number INTEGER PRIMARY KEY, kind TEXT, name TEXT, UNIQUE (kind, name));
CREATE TABLE records (seq INTEGER PRIMARY KEY, id TEXT, time INTEGER, outcome INTEGER,
    tenant INTEGER, policy INTEGER, state INTEGER, segment INTEGER, byte INTEGER, subject TEXT);
CREATE INDEX records_time ON records (time, seq);
CREATE INDEX records_id ON records (id);
CREATE INDEX records_outcome ON records (outcome, time);
CREATE INDEX records_tenant ON records (tenant, time);
CREATE INDEX records_policy ON records (policy, time);
CREATE INDEX records_state ON records (state, time);
CREATE INDEX records_subject ON records (subject, time);
CREATE TABLE scores (seq INTEGER, score INTEGER, value REAL, PRIMARY KEY (seq, score))
    WITHOUT ROWID;
CREATE INDEX scores_value ON scores (score, value);
CREATE TABLE events (seq INTEGER PRIMARY KEY, time INTEGER, what TEXT, actor TEXT, about TEXT,
    segment INTEGER, byte INTEGER);
CREATE INDEX events_about ON events (about);
CREATE INDEX events_what ON events (what);
CREATE INDEX events_actor ON events (actor, what);
CREATE INDEX events_time ON events (time, actor, what);
CREATE TABLE hours (hour INTEGER, kind TEXT, name TEXT, count INTEGER,
    PRIMARY KEY (kind, hour, name)) WITHOUT ROWID;
"""


class Index(OnDatabase):
    """A ledger's index, which costs little to open."""

    def __init__(
        self, ledger: Path, database: sqlite3.Connection, written: SingleLines | None
    ) -> None:
        """Use `Index.open`."""
        super().__init__(database)
        self.ledger, self.written = ledger, written or SingleLines(ledger)
        self.names = Names(database)
        self.standing = Standing(database)

    @classmethod
    def open(
        cls,
        ledger: str | Path,
        path: str | Path | None = None,
        *,
        written: SingleLines | None = None,
    ) -> Self:
        """Open the index of a ledger, made if missing; `update` brings it up to date.

        Args:
            ledger: folder of the ledger.
            path: where the index is; by default `index.sqlite` in the ledger's folder.
            written: reads the ledger's lines; one that is kept knows which it has checked.

        Raises:
            LedgerError: there is no such ledger.
            OutputError: the index cannot be written.
        """
        ledger = Path(ledger)
        segments_of(ledger)
        path = Path(path) if path else ledger / NAME
        database = connect(path)
        database.execute("PRAGMA secure_delete = ON")
        index = cls(ledger, database, written)
        with writing(database):
            if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                index._start_anew()
        return index

    # --- keeping up with the ledger ---------------------------------------------------------

    def update(self, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
        """Read what is new in the ledger, and return how many lines that was.

        Args:
            progress: called now and then with bytes read and bytes to read.

        Raises:
            LedgerError: a line is not a record; what stands before it is indexed.
        """
        abandon(self.database)  # of an update that was interrupted
        sizes = _sizes(self.ledger)
        total, added = sum(sizes.values()), 0
        while True:
            with writing(self.database):
                self.names.refresh()
                self._forget(min(sizes, default=0))
                start, after = self._resume()
                batch, failure = taken(lines(self.ledger, start=start, after=after), _BATCH)
                if batch:
                    self._add(batch)
                    end = batch[-1].end
                    before = sum(size for number, size in sizes.items() if number < end.segment)
                    progress(before + end.byte, total)
            added += len(batch)
            if failure is not None:
                raise failure
            if len(batch) < _BATCH:
                return added

    def _resume(self) -> tuple[Place, tuple[int, str] | None]:
        """Where to read on, and after which line.

        From the beginning if the ledger is not the one that was indexed.
        """
        known = self.database.execute("SELECT * FROM place").fetchone()
        if known is None:
            return Place(), None
        segment, byte, last, digest, *end = known
        try:
            line = self.written.at(Place(segment, byte))
            if (line.seq, line.hash) == (last, digest):
                return Place(*end), (last, digest)
        except LedgerError:
            pass
        self._start_anew()
        return Place(), None

    def _start_anew(self) -> None:
        tables = self.database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            self.database.execute(f"DROP TABLE {table}")
        make_tables(self.database, _SCHEMA + SCHEMA.lstrip())
        self.database.execute(f"PRAGMA user_version = {_VERSION}")

    def _add(self, batch: Sequence[Placed]) -> None:
        counts: Counter[tuple[int, str, str]] = Counter()
        for place, line, _ in batch:
            entry = entry_of(line, where(self.ledger, place))
            if isinstance(entry, Event):
                self._add_event(line.seq, place, entry)
            else:
                counts.update(self._add_record(line.seq, place, entry))
        self._count((*what, count) for what, count in counts.items())
        place, line, end = batch[-1]
        last = (*place, line.seq, line.hash, *end)
        self.database.execute("DELETE FROM place")
        self.database.execute("INSERT INTO place VALUES (?, ?, ?, ?, ?, ?)", last)

    def _count(self, rows: Iterable[tuple[int, str, str, int]]) -> None:
        """Add to the counts: hour, kind, name, how many."""
        self.database.executemany(
            "INSERT INTO hours VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET count = count + excluded.count",
            rows,
        )

    def _forget(self, first: int) -> None:
        """Drop what stood in segments before the first one that is there: it was purged."""
        oldest = self.database.execute(
            "SELECT min(segment) FROM (SELECT segment FROM (SELECT segment FROM records ORDER BY "
            "seq LIMIT 1) UNION SELECT segment FROM (SELECT segment FROM events ORDER BY seq "
            "LIMIT 1))"
        ).fetchone()[0]
        if oldest is None or oldest >= first:
            return
        outcomes = self.database.execute(
            "SELECT time / ? AS hour, outcome, -count(*) FROM records WHERE segment < ? "
            "GROUP BY hour, outcome",
            (HOUR, first),
        ).fetchall()
        self._count((hour, "outcome", OUTCOMES[each].value, n) for hour, each, n in outcomes)
        rules = self.database.execute(
            "SELECT time / ? AS hour, 'rule', name, -count(*) FROM records JOIN fired USING (seq) "
            "JOIN names ON number = rule WHERE segment < ? GROUP BY hour, name",
            (HOUR, first),
        ).fetchall()
        self._count(rules)
        self.database.execute("DELETE FROM hours WHERE count <= 0")
        self.standing.forget(first)
        self.database.execute(
            "DELETE FROM scores WHERE seq IN (SELECT seq FROM records WHERE segment < ?)", (first,)
        )
        for table in ("records", "events"):
            self.database.execute(f"DELETE FROM {table} WHERE segment < ?", (first,))  # noqa: S608
        self.names.drop_unused()
        self.database.execute("DELETE FROM judged WHERE rule NOT IN (SELECT number FROM names)")

    def _add_event(self, seq: int, place: Place, event: Event) -> None:
        self.database.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", _told_of(seq, event, place)
        )
        if event.what in VERDICTS:
            self.standing.judge(event)

    def _add_record(self, seq: int, place: Place, record: Record) -> Iterator[tuple[int, str, str]]:
        """Add it; gives what is to be counted for its hour."""
        time, decision = ms_of(record.time), record.decision
        policy = f"{decision.policy} {decision.policy_digest}" if decision else ""
        rules = rules_of(record)
        state = State.OPEN if needs_review(record) else State.NONE
        self.database.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                seq,
                record.id,
                time,
                OUTCOMES.index(record.outcome),
                self.names.number("tenant", record.context.tenant),
                self.names.number("policy", policy),
                STATES.index(state),
                *place,
                subject_of(record),
            ),
        )
        numbers = {rule: self.names.number("rule", rule) for rule in rules}
        self.standing.add(
            seq,
            state,
            {numbers[rule]: stops for rule, stops in rules.items()},
            {n: [numbers[check] for check in by] for n, by in stopped_images(record).items()},
        )
        self.database.executemany(
            "INSERT INTO scores VALUES (?, ?, ?)",
            ((seq, self.names.number("score", n), value) for n, value in scores_of(record).items()),
        )
        hour = time // HOUR
        yield hour, "outcome", record.outcome.value
        for rule in rules:
            yield hour, "rule", rule

    # --- single entries ---------------------------------------------------------------------

    def record(self, seq: int) -> tuple[Row, Record]:
        """The record with this number, read from the ledger.

        Raises:
            LedgerError: there is none.
        """
        found = self.database.execute(
            f"SELECT {COLUMNS} FROM records WHERE seq = ?",  # noqa: S608 - our own text
            (seq,),
        ).fetchone()
        if found is None:
            raise LedgerError(f"the ledger has no record {seq}", "look for it in the list")
        row = row_of(found)
        entry = self.entry(seq, row.place)
        if not isinstance(entry, Record) or not row.is_of(entry):
            raise self._wrong(seq)
        return row, entry

    def entry(self, seq: int, place: Place) -> Record | Event:
        """What the ledger holds at this place.

        Raises:
            LedgerError: not the line with this number, or none that a signature vouches for.
        """
        try:
            line = self.written.at(place)
        except LedgerError as error:
            raise LedgerError(error.message, _WRONG) from error
        if line.seq != seq:
            raise self._wrong(seq)
        return entry_of(line, f"line {seq} of {self.ledger}")

    def find(self, record_id: str, *, for_good: bool = False) -> int:
        """The number of the record with this id, or the only one whose id starts so.

        Args:
            record_id: the id or its beginning.
            for_good: for what cannot be undone, so that no few characters will do.

        Raises:
            LedgerError: there is none, several ids start so, or it is too short a beginning.
        """
        found = self.database.execute(
            "SELECT seq, id FROM records WHERE id >= ? AND id < ? ORDER BY id, seq LIMIT 2",
            (record_id, f"{record_id}\U0010ffff"),
        ).fetchall()
        if not (found and (len(found) == 1 or found[0][1] == record_id)):
            raise not_one(self.ledger, record_id, several=bool(found))
        if for_good and len(record_id) < _BEGINNING and found[0][1] != record_id:
            raise LedgerError(
                f"expected at least {_BEGINNING} characters of a record's id, got {record_id!r}",
                f"the number in a list is no id; the ids: safegen audit query {self.ledger}",
            )
        return int(found[0][0])

    def seqs(self, record_ids: Sequence[str]) -> dict[str, int]:
        """The numbers of those of these records that there are."""
        marks = ", ".join("?" * len(record_ids))
        found = self.database.execute(
            f"SELECT id, min(seq) FROM records WHERE id IN ({marks}) GROUP BY id",  # noqa: S608
            record_ids,
        )
        return dict(found.fetchall())

    def events_about(self, record_id: str) -> list[tuple[int, Event]]:
        """What was done about a record, or to its subject's key, oldest first."""
        subject = "SELECT subject FROM records WHERE id = ?"
        return self._events(
            f"about = ? OR about IN ({subject}) ORDER BY seq", (record_id, record_id)
        )

    def oldest(self) -> int | None:
        """The earliest time of a record, in ms since 1970; None if there is none."""
        found: int | None = self.database.execute("SELECT min(time) FROM records").fetchone()[0]
        return found

    def count_of(self, subject: str) -> int:
        """How many records are of this subject."""
        found = self.database.execute(
            "SELECT count(*) FROM records WHERE subject = ?", (subject,)
        ).fetchone()
        return int(found[0])

    def events(
        self, *, before: int | None = None, what: str = "", actor: str = "", limit: int = 50
    ) -> list[tuple[int, Event]]:
        """Events, newest first, from below number `before`."""
        given = {"seq <": before, "what =": what or None, "actor =": actor or None}
        wanted = {text: value for text, value in given.items() if value is not None}
        conditions = " AND ".join(f"{text} ?" for text in wanted) or "true"
        return self._events(f"{conditions} ORDER BY seq DESC LIMIT ?", (*wanted.values(), limit))

    def count_events(self, since: datetime) -> dict[str, dict[str, int]]:
        """Actor -> what they did since then -> how often."""
        found = self.database.execute(
            # The planner would rather go through all events, in the order of another index.
            "SELECT actor, what, count(*) FROM events INDEXED BY events_time WHERE time >= ? "
            "GROUP BY actor, what",
            (int(since.timestamp() * 1000),),
        )
        result: dict[str, dict[str, int]] = {}
        for actor, what, count in found:
            result.setdefault(actor, {})[what] = count
        return result

    def _events(self, where: str, values: Sequence[object]) -> list[tuple[int, Event]]:
        found = self.database.execute(
            f"SELECT * FROM events WHERE {where}",  # noqa: S608 - our own text
            values,
        ).fetchall()
        events = []
        for row in found:
            seq, *_, segment, byte = row
            event = self.entry(seq, Place(segment, byte))
            if not isinstance(event, Event) or row != _told_of(seq, event, Place(segment, byte)):
                raise self._wrong(seq)
            events.append((seq, event))
        return events

    def _wrong(self, seq: int) -> LedgerError:
        return LedgerError(
            f"the index of {self.ledger} tells of line {seq} what the ledger does not", _WRONG
        )


def _told_of(seq: int, event: Event, place: Place) -> tuple[object, ...]:
    """What the index holds of an event."""
    return seq, ms_of(event.time), event.what, event.actor, event.about, *place


def _sizes(ledger: Path) -> dict[int, int]:
    """Number of each segment -> its bytes; one that is purged meanwhile has none."""
    sizes = {}
    for path in segments_of(ledger):
        with suppress(FileNotFoundError):
            sizes[number_of(path)] = path.stat().st_size
    return sizes
