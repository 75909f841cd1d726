"""PostgreSQL: the records as tables, and the cursor in the same transaction as they are.

So each line is there exactly once, whatever is killed, and any number of shippers may deliver to
one database. The driver is pg8000, unless the URL names another.
"""

import getpass
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from safegen.audit.sinks.base import Batch, Cursor
from safegen.audit.sinks.rows import KEYS, TABLES, Row, rows_of
from safegen.errors import InputError, MissingExtraError, SinkError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Insert, MetaData, Table
    from sqlalchemy.types import TypeEngine

SCHEMA, VERSION = "safegen", 1
_SETUP_LOCK = 0x5AFE6E4  # of PostgreSQL's advisory locks
_TIMEOUT = 60.0  # seconds without an answer
# The server ends a statement before we stop listening, or each try would leave one more of its
# processes waiting. A server whose own timeouts are shorter keeps them; local, for poolers.
_LIMITS = """
SELECT set_config(name, most, true)
FROM (VALUES ('lock_timeout', '30s'), ('statement_timeout', '50s')) AS ours(name, most)
WHERE current_setting(name)::interval NOT BETWEEN interval '1ms' AND most::interval
"""
_TOO_LONG = ("55P03", "57014")  # PostgreSQL's codes for a statement that was ended so
_NUL_SHOWN = "\u2400"  # PostgreSQL's text cannot hold U+0000; this is the sign for it
# Hash indexes, since a B-tree refuses texts of a few thousand bytes.
_INDEXED = {
    "records": ("id", "tenant", "policy", "policy_digest"),
    "findings": ("label",),
    "rules": ("rule",),
    "events": ("id", "about", "what"),
}


class Postgres:
    """A database. Needs a UTF-8 one, and the right to make the schema `safegen` the first time."""

    most, pause = 500, 0.5

    def __init__(self, url: str) -> None:
        """Deliver to the database at an SQLAlchemy URL, `postgresql://…`.

        Raises:
            MissingExtraError: SQLAlchemy or the driver is not installed.
            InputError: this is no such URL.
        """
        try:
            import sqlalchemy
            from sqlalchemy.exc import ArgumentError, NoSuchModuleError
        except ImportError as error:
            raise MissingExtraError("sqlalchemy", "postgres", "shipping to PostgreSQL") from error
        try:
            parsed = sqlalchemy.make_url(url)
            address, options = _pg8000(parsed) if "+" not in parsed.drivername else (parsed, {})
            # Parameters stay out of messages: they are the records.
            self._engine = sqlalchemy.create_engine(
                address,
                connect_args=options,
                hide_parameters=True,
                poolclass=sqlalchemy.NullPool,
                pool_reset_on_return=None,
            )
        except ImportError as error:
            if "+" in parsed.drivername:
                raise InputError(
                    f"the database driver {error.name} is not installed",
                    "install it, or leave it out of the address",
                ) from error
            raise MissingExtraError("pg8000", "postgres", "shipping to PostgreSQL") from error
        except (ArgumentError, NoSuchModuleError, ValueError):
            raise InputError(  # without what was given, and without the cause, which repeats it
                "the address of the database is not one that SQLAlchemy knows",
                "give postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with % and @ in the password "
                "written %25 and %40",
            ) from None
        self.to = _without_secrets(parsed)
        self._tables = _tables()
        self._inserts = {name: _insert(self._tables.tables[f"{SCHEMA}.{name}"]) for name in TABLES}
        self._connection: Connection | None = None

    def open(self, kept: Cursor) -> Cursor:
        """Make the tables if they are missing; the cursor is the database's own.

        Raises:
            SinkError: the database does not answer.
            InputError: it is of a newer SafeGen, or not in UTF-8.
        """
        with self._asking():
            self._connection = self._engine.connect()
        with self._transaction() as connection:
            self._set_up(connection)
            return self._cursor(connection, kept.ledger)[1]

    def deliver(self, batch: Batch) -> Cursor:
        """Insert the rows and move the cursor, both or neither.

        Raises:
            SinkError: the database failed.
        """
        with self._transaction() as connection:
            number, cursor = self._cursor(connection, batch.before.ledger)
            if cursor != batch.before:
                return cursor
            for table, rows in rows_of(batch.items).items():
                if rows:
                    keyed = [{"ledger": number} | row for row in rows]
                    connection.execute(self._inserts[table], {"rows": _encoded(keyed)})
            ledgers = self._tables.tables[f"{SCHEMA}.ledgers"]
            connection.execute(
                ledgers.update()
                .where(ledgers.c.ledger == number)
                .values(cursor=batch.after.model_dump(mode="json"))
            )
        return batch.after

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _set_up(self, connection: "Connection") -> None:
        from sqlalchemy import func, select, text
        from sqlalchemy.schema import CreateSchema

        encoding = connection.scalar(text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise InputError(
                f"{self.to} is in the encoding {encoding}, which cannot hold every prompt's text",
                "make the database with ENCODING 'UTF8'",
            )
        version = self._tables.tables[f"{SCHEMA}.version"]
        connection.execute(select(func.pg_advisory_xact_lock(_SETUP_LOCK)))
        # Whoever is not allowed to make tables may still fill them.
        if connection.scalar(select(func.to_regclass(version.fullname))) is None:
            connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
            self._tables.create_all(connection)
            connection.execute(version.insert().values(version=VERSION))
        found = connection.scalar(select(version.c.version))
        if found != VERSION:
            raise InputError(
                f"the tables in {self.to} are of version {found}, this SafeGen writes {VERSION}",
                "update SafeGen, or deliver to another database",
            )

    def _cursor(self, connection: "Connection", ledger: str) -> tuple[int, Cursor]:
        """The ledger's number and cursor, kept from other shippers until the transaction ends."""
        from sqlalchemy import select
        from sqlalchemy.dialects.postgresql import insert

        ledgers = self._tables.tables[f"{SCHEMA}.ledgers"]
        mine = select(ledgers.c.ledger, ledgers.c.cursor).where(ledgers.c.key == ledger)
        found = connection.execute(mine.with_for_update()).one_or_none()
        if found is None:
            begin = Cursor(ledger=ledger).model_dump(mode="json")
            connection.execute(
                insert(ledgers).values(key=ledger, cursor=begin).on_conflict_do_nothing()
            )
            found = connection.execute(mine.with_for_update()).one()
        return found.ledger, Cursor.model_validate(found.cursor)

    @contextmanager
    def _transaction(self) -> Iterator["Connection"]:
        from sqlalchemy import text

        if self._connection is None:
            raise SinkError(f"{self.to} is not connected", "open the sink")
        with self._asking(), self._connection.begin():
            self._connection.execute(text(_LIMITS))
            yield self._connection

    @contextmanager
    def _asking(self) -> Iterator[None]:
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise SinkError(
                f"{self.to} does not take records: {_told(cause)}",
                "see in pg_stat_activity who locks its tables, or what keeps it so busy"
                if _fields(cause).get("C") in _TOO_LONG
                else "see whether the database runs, takes connections from here, and has room",
            ) from None  # SQLAlchemy's own message would tell of the records


def _tables() -> "MetaData":
    from sqlalchemy import (
        BigInteger,
        Column,
        DateTime,
        Double,
        ForeignKeyConstraint,
        Identity,
        Index,
        Integer,
        MetaData,
        Table,
        Text,
    )
    from sqlalchemy.dialects.postgresql import JSONB

    kinds: dict[str, TypeEngine[Any]] = {
        "integer": BigInteger(),
        "real": Double(),
        "text": Text(),
        "time": DateTime(timezone=True),
        "json": JSONB(),
    }
    made = MetaData(schema=SCHEMA)
    Table("version", made, Column("version", Integer, nullable=False))
    Table(
        "ledgers",
        made,
        Column("ledger", Integer, Identity(), primary_key=True),
        Column("key", Text, unique=True, nullable=False),
        Column("cursor", JSONB, nullable=False),
    )
    for name, columns in TABLES.items():
        parent = "ledgers" if "record" in columns else "records"
        shared = KEYS.get(parent, ())
        Table(
            name,
            made,
            Column("ledger", Integer, primary_key=True, autoincrement=False),
            *(
                Column(column, kinds[kind], primary_key=column in KEYS[name], autoincrement=False)
                for column, kind in columns.items()
            ),
            ForeignKeyConstraint(
                ("ledger", *shared),
                [f"{SCHEMA}.{parent}.{column}" for column in ("ledger", *shared)],
                ondelete="CASCADE",
            ),
            *(
                Index(f"{name}_{column}", column, postgresql_using="hash")
                for column in _INDEXED.get(name, ())
            ),
            *([Index(f"{name}_time", "time")] if "time" in columns else []),
        )
    return made


def _insert(table: "Table") -> "Insert":
    """Insert all rows of a JSON array: one statement, however many there are."""
    from sqlalchemy import JSON, Text, bindparam, cast, column, func, insert, select

    rows = cast(bindparam("rows", type_=Text), JSON)
    columns = [column(each.name, each.type) for each in table.columns]
    given = func.json_to_recordset(rows).table_valued(*columns).render_derived(with_types=True)
    names = [each.name for each in table.columns]
    return insert(table).from_select(names, select(*(given.c[name] for name in names)))


def _encoded(rows: list[Row]) -> str:
    text = to_json(rows).decode()
    return to_json(_shown(rows)).decode() if "\\u0000" in text else text


def _shown(value: Any) -> Any:
    """The value with every U+0000 made visible; the ledger, by seq and hash, has the original."""
    if isinstance(value, str):
        return value.replace("\0", _NUL_SHOWN)
    if isinstance(value, Mapping):
        return {_shown(key): _shown(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shown(each) for each in value]
    return value


def _pg8000(url: "URL") -> tuple["URL", dict[str, Any]]:
    """The address for pg8000, which lacks what users know from libpq: sockets, sslmode, defaults.

    Raises:
        ValueError: a part of it means nothing.
    """
    query = dict(url.query)
    host, mode = query.pop("host", url.host or ""), query.pop("sslmode", "prefer")
    port, root = int(str(query.pop("port", url.port or 5432))), query.pop("sslrootcert", None)
    if query:
        raise ValueError("an option that pg8000 does not have")
    user = url.username or os.environ.get("PGUSER") or getpass.getuser()
    options: dict[str, Any] = {
        "ssl_context": _tls(str(mode), str(root) if root else None),
        "timeout": _TIMEOUT,
        "application_name": "safegen",
    }
    if str(host).startswith("/"):
        options |= {"unix_sock": f"{host}/.s.PGSQL.{port}", "ssl_context": False}
    return (
        url.set(
            drivername="postgresql+pg8000",
            username=user,
            password=url.password or os.environ.get("PGPASSWORD"),
            host=None if "unix_sock" in options else str(host) or "localhost",
            port=None if "unix_sock" in options else port,
            database=url.database or user,
            query={},
        ),
        options,
    )


def _tls(mode: str, root: str | None) -> ssl.SSLContext | bool | None:
    """What pg8000 calls libpq's sslmode."""
    if mode in ("disable", "prefer"):
        return False if mode == "disable" else None
    if mode not in ("require", "verify-ca", "verify-full"):
        raise ValueError("no such sslmode")
    context = ssl.create_default_context(cafile=root)
    context.check_hostname = mode == "verify-full"
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


def _without_secrets(url: "URL") -> str:
    """Where the database is: users put passwords into the options too."""
    host = url.host or str(url.query.get("host", "localhost"))
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{host}{port}/{url.database or ''}"


def _told(error: BaseException | None) -> str:
    """The driver's message without the values that PostgreSQL adds to it."""
    said = _fields(error).get("M")
    return said or (str(error) or type(error).__name__).splitlines()[0]


def _fields(error: BaseException | None) -> Mapping[str, str]:
    """What PostgreSQL says of an error, as pg8000 tells it: M is the message, C the code."""
    said = error.args[0] if error is not None and error.args else None
    return said if isinstance(said, dict) else {}
