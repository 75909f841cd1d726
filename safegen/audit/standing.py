"""Where records stand with the reviewers, for an index: as a whole, by image, and by rule.

A verdict is about a request, or about one of its images that was flagged or withheld. A request
with such images waits until each of them was judged, or the whole; of the latest verdicts the one
that leaves most to do counts for all: escalated, then upheld, then overturned.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from safegen.audit.filters import State
from safegen.nouns import Event

# In the order of what is left to do, so that of several the least one stands for all.
STATES = list(State)
SCHEMA = """
CREATE TABLE fired (seq INTEGER, rule INTEGER, stops INTEGER, state INTEGER,
    PRIMARY KEY (seq, rule)) WITHOUT ROWID;
CREATE INDEX fired_rule ON fired (rule);
CREATE TABLE stopped (seq INTEGER, image INTEGER, rule INTEGER, state INTEGER,
    PRIMARY KEY (seq, image, rule)) WITHOUT ROWID;
CREATE TABLE judged (rule INTEGER, state INTEGER, count INTEGER, PRIMARY KEY (rule, state))
    WITHOUT ROWID;
"""
_NO_RULE = 0  # of an image that was withheld and that no check flagged


class Standing:
    """The tables `fired`, `stopped` and `judged` of an index, and the state of its records."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Use those of the index in this database."""
        self._database = database

    def add(
        self,
        seq: int,
        state: State,
        rules: Mapping[int, bool],
        images: Mapping[int, Sequence[int]],
    ) -> None:
        """Note what a new record waits for.

        Args:
            seq: of the record.
            state: of the record.
            rules: number of each rule or check that fired -> whether it stops an image.
            images: those that were flagged or withheld -> the checks that flagged it.
        """
        begun = STATES.index(state)
        self._database.executemany(
            "INSERT INTO fired VALUES (?, ?, ?, ?)",
            ((seq, rule, stops, begun) for rule, stops in rules.items()),
        )
        self._database.executemany(
            "INSERT INTO stopped VALUES (?, ?, ?, ?)",
            (
                (seq, image, rule, begun)
                for image, checks in images.items()
                for rule in checks or (_NO_RULE,)
            ),
        )

    def judge(self, event: Event) -> None:
        """Take in a verdict; one about an image that nothing stopped changes nothing."""
        found = self._database.execute("SELECT seq FROM records WHERE id = ?", (event.about,))
        for (seq,) in found.fetchall():
            about = set(self.images(seq))
            if "image" in event.details:
                about &= {event.details["image"]}
                if not about:
                    continue
            self._judge(seq, State(event.what), about, whole="image" not in event.details)

    def images(self, seq: int) -> dict[int, State]:
        """The images of a record that were flagged or withheld, and where each stands."""
        found = self._database.execute(
            "SELECT DISTINCT image, state FROM stopped WHERE seq = ? ORDER BY image", (seq,)
        )
        return {image: STATES[state] for image, state in found.fetchall()}

    def forget(self, first: int) -> None:
        """Drop what belongs to records in segments before this one, which were purged."""
        self._database.execute(
            "INSERT INTO judged SELECT rule, fired.state, -count(*) FROM records "
            "JOIN fired USING (seq) WHERE segment < ? AND stops GROUP BY rule, fired.state "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (first,),
        )
        for table in ("fired", "stopped"):
            self._database.execute(
                f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM records WHERE segment < ?)",  # noqa: S608
                (first,),
            )

    def _judge(self, seq: int, verdict: State, images: set[int], *, whole: bool) -> None:
        state = STATES.index(verdict)
        self._database.executemany(
            "UPDATE stopped SET state = ? WHERE seq = ? AND image = ?",
            ((state, seq, image) for image in images),
        )
        stand = self._database.execute(
            "SELECT rule, state FROM stopped WHERE seq = ?", (seq,)
        ).fetchall()
        of_all = state if whole else min(each for _, each in stand)
        self._database.execute("UPDATE records SET state = ? WHERE seq = ?", (of_all, seq))
        fired = self._database.execute(
            "SELECT rule, state FROM fired WHERE seq = ? AND stops", (seq,)
        ).fetchall()
        for rule, before in fired:
            # A check is judged by the images that it flagged, a rule of the prompt by the request.
            after = min((each for by, each in stand if by == rule), default=of_all)
            self._database.execute(
                "UPDATE fired SET state = ? WHERE seq = ? AND rule = ?", (after, seq, rule)
            )
            self._database.executemany(
                "INSERT INTO judged VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET count = count + excluded.count",
                ((rule, before, -1), (rule, after, 1)),
            )
