"""The names that an index holds: rules, tenants, policies and scores, each with a number."""

import sqlite3

from safegen.errors import InputError, did_you_mean

# Kind -> the column that holds the numbers of its names.
_COLUMNS = {
    "tenant": "records.tenant",
    "policy": "records.policy",
    "rule": "fired.rule",
    "score": "scores.score",
}


class Names:
    """The table `names` of an index."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Use those of the index in this database."""
        self._database = database
        self._known: dict[tuple[str, str], int] = {}

    def of(self, kind: str) -> list[str]:
        """The rules, tenants, policies or scores that occur, sorted."""
        found = self._database.execute("SELECT name FROM names WHERE kind = ?", (kind,))
        return sorted(name for (name,) in found if name)

    def numbers(self, kind: str, name: str) -> list[int]:
        """Their numbers: of one name, or for a policy of all digests that begin so.

        Raises:
            InputError: nothing is called so.
        """
        found = self._database.execute("SELECT number, name FROM names WHERE kind = ?", (kind,))
        rows = found.fetchall()
        if kind == "policy":
            numbers = [number for number, each in rows if _is_policy(each, name)]
        else:
            numbers = [number for number, each in rows if each == name]
        if not numbers:
            raise InputError(
                f"no record has the {kind} {name!r}", did_you_mean(name, self.of(kind))
            )
        return numbers

    def number(self, kind: str, name: str) -> int:
        """The number of a name, which gets one if it has none."""
        if (kind, name) not in self._known:
            self._database.execute("INSERT OR IGNORE INTO names VALUES (NULL, ?, ?)", (kind, name))
            found = self._database.execute(
                "SELECT number FROM names WHERE kind = ? AND name = ?", (kind, name)
            )
            self._known[kind, name] = found.fetchone()[0]
        return self._known[kind, name]

    def refresh(self) -> None:
        """Look numbers up anew: between transactions another process may give them to others."""
        self._known.clear()

    def drop_unused(self) -> None:
        """Delete the names that no record has any more."""
        for kind, column in _COLUMNS.items():
            table = column.partition(".")[0]
            self._database.execute(
                "DELETE FROM names WHERE kind = ? AND NOT EXISTS "  # noqa: S608 - our own text
                f"(SELECT 1 FROM {table} WHERE {column} = number)",
                (kind,),
            )


def _is_policy(known: str, wanted: str) -> bool:
    name, _, digest = known.rpartition(" ")
    return name == wanted or digest.removeprefix("sha256:").startswith(
        wanted.removeprefix("sha256:")
    )
