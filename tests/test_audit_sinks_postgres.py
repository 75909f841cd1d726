"""PostgreSQL: every line exactly once, in a real server that is stopped and started."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from guides import snippets
from ledgers import BARE, FULL, event, image, ledger, record
from servers import Server, certificate
from shippers import killed_again_and_again, until
from writers import fill

from safegen.audit.ledger import Ledger, verify
from safegen.audit.sinks import Shipper, postgres, sink_at
from safegen.audit.sinks.postgres import Postgres
from safegen.errors import InputError, SinkError
from safegen.nouns import Context, Outcome


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running server."""
    server = Server()
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest) -> str:
    """An empty database."""
    return server.database(request.node.originalname.removeprefix("test_")[:60])


def test_the_tables_hold_the_records(server: Server, url: str, tmp_path: Path) -> None:
    """Records, images, findings, rules and events lie in tables, and whole as JSONB."""
    Shipper(ledger(tmp_path, FULL, BARE, event(1, "upheld", FULL)), sink_at(url)).once()
    records = server.rows(
        url, "SELECT seq, id, time, outcome, tenant, policy, images FROM safegen.records"
    )
    [(whole,)] = server.rows(url, "SELECT record FROM safegen.records WHERE seq = 0")

    assert records[0] == (
        0,
        FULL.id,
        datetime(2026, 1, 2, 3, 4, 5, 678000, UTC),
        "review",
        "acme",
        "default",
        2,
    )
    assert records[1][1:] == (BARE.id, datetime(2026, 1, 2, 3, 5, tzinfo=UTC), "error", "", None, 0)
    assert whole == json.loads(FULL.model_dump_json())
    assert server.rows(url, "SELECT seq, image, attempts, actions FROM safegen.images") == [
        (0, 0, 1, ""),
        (0, 1, 3, "regenerate x1.5; review"),
    ]
    assert server.rows(url, "SELECT image, label, score, box_right FROM safegen.findings") == [
        (1, "unsafe", 0.875, 30.5)
    ]
    assert server.rows(url, "SELECT seq, rule, action FROM safegen.rules") == [
        (0, "occ-1", "steer")
    ]
    assert server.rows(url, "SELECT seq, what, about FROM safegen.events") == [
        (2, "upheld", FULL.id)
    ]


def test_the_queries_of_the_guide_run(server: Server, url: str, tmp_path: Path) -> None:
    """What the guide asks PostgreSQL has answers."""
    now = datetime.now(UTC).isoformat()
    Shipper(ledger(tmp_path, FULL.model_copy(update={"time": now})), sink_at(url)).once()
    queries = [query for query in snippets("docs/sinks.md", "sql") if "safegen." in query]
    answers = [server.rows(url, query) for query in queries]

    assert answers[0] == [("acme", "occ-1", 1)]
    assert answers[1][0][1:] == (FULL.id, "review", None)
    assert len(answers) == 2


def test_two_ledgers_in_one_database(server: Server, url: str, tmp_path: Path) -> None:
    """Their lines have the same numbers and stay apart."""
    for name in ("one", "two"):
        Shipper(ledger(tmp_path / name, record(0), record(1)), sink_at(url)).once()

    assert server.rows(url, "SELECT ledger, seq FROM safegen.records ORDER BY 1, 2") == [
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    ]


def test_any_text_arrives(server: Server, url: str, tmp_path: Path) -> None:
    """Markup, newlines, quotes, control signs, long texts and U+0000, in columns and in JSONB."""
    nasty = "<script>\n\r\t\x1b[31m'\";--\\u0000 \\ \u202e 🜍 %s :x \x7f"
    tenants = [nasty, "nul\0in\0it", "x" * 100_000, ""]
    given = [
        record(n).model_copy(update={"context": Context(tenant=tenant), "time": "never"})
        for n, tenant in enumerate(tenants)
    ]
    Shipper(ledger(tmp_path, *given), sink_at(url)).once()
    found = server.rows(
        url,
        "SELECT tenant, record->'context'->>'tenant', time FROM safegen.records ORDER BY seq",
    )

    shown = [tenant.replace("\0", "\u2400") for tenant in tenants]
    assert found == [(tenant, tenant, None) for tenant in shown]


def test_killed_shippers_lose_nothing_and_repeat_nothing(
    server: Server, url: str, tmp_path: Path
) -> None:
    """Killed at any instant while a writer writes: one row for each line of the ledger."""
    killed_again_and_again(tmp_path, url)
    Shipper(tmp_path, sink_at(url)).once()
    count = verify(tmp_path).records
    [found] = server.rows(
        url, "SELECT count(*), count(DISTINCT seq), max(seq) FROM safegen.records"
    )

    assert count > 50
    assert found == (count, count, count - 1)


def test_a_server_that_stops_while_followed(server: Server, url: str, tmp_path: Path) -> None:
    """A crash of the server is waited out; then what was written meanwhile arrives, once."""
    fill(tmp_path, 10)
    query = "SELECT count(*), count(DISTINCT seq) FROM safegen.records"
    with (
        structlog.testing.capture_logs() as logged,
        Shipper(tmp_path, sink_at(url)).following(),
    ):
        until(lambda: bool(server.rows(url, "SELECT to_regclass('safegen.records')")[0][0]))
        until(lambda: server.rows(url, query) == [(10, 10)])
        server.stop()
        with Ledger.open(tmp_path) as opened:
            for number in range(10, 30):
                opened.append(record(number))
        until(lambda: bool(logged))
        server.start()
        until(lambda: server.rows(url, query) == [(30, 30)])

    assert logged[0]["event"] == "a sink takes no records; they wait in the ledger"
    assert logged[-1]["event"] == "a sink takes records again"
    assert "p%w@rd" not in str(logged)


def test_a_locked_table(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server gives up before the shipper stops listening, so that nothing waits there on."""
    folder = ledger(tmp_path, record(0))
    Shipper(folder, sink_at(url)).once()
    monkeypatch.setattr(postgres, "_LIMITS", postgres._LIMITS.replace("'30s'", "'200ms'"))
    holder = server.connect(url.rpartition("/")[2])
    holder.cursor().execute("LOCK TABLE safegen.records")
    fill(tmp_path, 1)
    for _ in range(2):
        with pytest.raises(SinkError, match="canceling statement due to lock timeout") as caught:
            Shipper(folder, sink_at(url)).once()
        assert "pg_stat_activity" in str(caught.value.mend)
    active = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'safegen'"
    until(lambda: server.rows(url, f"{active} AND wait_event_type = 'Lock'") == [(0,)])
    holder.rollback()
    holder.close()

    assert Shipper(folder, sink_at(url)).once().delivered == 2


def test_timeouts_of_the_server(server: Server, url: str) -> None:
    """They are below the shipper's own, and those of the server where these are shorter."""
    connection = server.connect("postgres")
    connection.autocommit = True
    name = url.rpartition("/")[2]
    sink = Postgres(url)
    seen = []
    for own in ("0", "500ms", "2h"):
        connection.cursor().execute(f"ALTER DATABASE {name} SET lock_timeout = '{own}'")
        with sink._asking():
            sink._connection = sink._engine.connect()
        with sink._transaction() as transaction:
            seen.append(transaction.exec_driver_sql("SHOW lock_timeout").scalar_one())
            statement = transaction.exec_driver_sql("SHOW statement_timeout").scalar_one()
        sink.close()
    connection.close()

    assert seen == ["30s", "500ms", "30s"]
    assert statement == "50s"
    assert postgres._TIMEOUT > 50


def test_two_shippers_at_once(server: Server, url: str, tmp_path: Path) -> None:
    """Two that know nothing of each other, as on two machines, share the work without doubles."""
    fill(tmp_path / "ledger", 300)
    shippers = []
    for name in ("one", "two"):
        sink = Postgres(url)
        sink.most, sink.pause = 7, 0.0
        shippers.append(Shipper(tmp_path / "ledger", sink, state=tmp_path / name))
    with shippers[0].following(), shippers[1].following():
        until(lambda: bool(server.rows(url, "SELECT to_regclass('safegen.records')")[0][0]))
        query = "SELECT count(*), count(DISTINCT seq) FROM safegen.records"
        until(lambda: server.rows(url, query) == [(300, 300)])

    assert server.rows(url, query) == [(300, 300)]


def test_who_may_not_make_tables_may_fill_them(server: Server, url: str, tmp_path: Path) -> None:
    """Once the tables are there, the right to read and write them is enough."""
    folder = ledger(tmp_path, record(0), record(1, Outcome.STEERED, images=[image()]))
    Shipper(folder, sink_at(url), state=tmp_path / "admin").once()
    connection = server.connect(url.rpartition("/")[2])
    for statement in (
        "DELETE FROM safegen.ledgers",
        "CREATE ROLE shipper LOGIN PASSWORD 'secret'",
        "GRANT USAGE ON SCHEMA safegen TO shipper",
        "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA safegen TO shipper",
    ):
        connection.cursor().execute(statement)
    connection.commit()
    connection.close()
    assert server.rows(url, "SELECT * FROM safegen.images") == []
    Shipper(folder, sink_at(url.replace("postgres:p%25w%40rd", "shipper:secret"))).once()

    assert server.rows(url, "SELECT seq FROM safegen.images") == [(1,)]


def test_tables_of_a_newer_version(server: Server, url: str, tmp_path: Path) -> None:
    """They are left alone."""
    folder = ledger(tmp_path, record(0))
    Shipper(folder, sink_at(url)).once()
    connection = server.connect(url.rpartition("/")[2])
    connection.cursor().execute("UPDATE safegen.version SET version = 2")
    connection.commit()
    connection.close()

    with pytest.raises(InputError, match="of version 2, this SafeGen writes 1"):
        Shipper(folder, sink_at(url)).once()


def test_a_database_that_cannot_hold_every_text(server: Server, tmp_path: Path) -> None:
    """It is refused before anything is made in it."""
    url = server.database("latin", "LATIN1")

    with pytest.raises(InputError, match="is in the encoding LATIN1"):
        Shipper(ledger(tmp_path, record(0)), sink_at(url)).once()


def test_a_socket(server: Server, url: str, tmp_path: Path) -> None:
    """Named as libpq does, it works, without a password where the server asks for none."""
    name = url.rpartition("/")[2]
    address = f"postgresql://postgres@/{name}?host={server.folder}&port={server.port}"

    assert Shipper(ledger(tmp_path, record(0)), sink_at(address)).once().delivered == 1


def test_the_password_stands_nowhere(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in errors, causes, or what is kept; PGPASSWORD keeps it out of the address too."""
    folder = ledger(tmp_path, record(0))
    wrong = url.replace("p%25w%40rd", "hunter2")
    with pytest.raises(SinkError, match="password authentication failed") as caught:
        Shipper(folder, sink_at(wrong)).once()
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"
    assert not [file for file in folder.rglob("*.json") if b"hunter2" in file.read_bytes()]

    monkeypatch.setenv("PGPASSWORD", "p%w@rd")
    without = url.replace(":p%25w%40rd", "")
    assert Shipper(folder, sink_at(without)).once().delivered == 1


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:hunter2@host:port/db",
        "postgresql://u:hunter2@host/db?sslmode=sure",
        "postgresql://u:hunter2@host/db?shoe=size",
        "postgresql+nonesuch://u:hunter2@host/db",
        "postgresql+psycopg2://u:hunter2@host/db",
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    """They are refused without being repeated."""
    with pytest.raises(InputError) as caught:
        sink_at(address)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_tls_is_verified_where_asked(server: Server, url: str, tmp_path: Path) -> None:
    """`verify-full` wants a certificate that it can check; `require` fails without TLS."""
    folder = ledger(tmp_path, record(0))
    with pytest.raises(SinkError, match="Server refuses SSL"):
        Shipper(folder, sink_at(f"{url}?sslmode=require")).once()
    certificate(server.folder)
    server.stop()
    tls = [f"ssl_cert_file={server.folder}/tls.pem", f"ssl_key_file={server.folder}/tls.key"]
    server.start("ssl=on", *tls)
    with pytest.raises(SinkError, match="certificate"):
        Shipper(folder, sink_at(f"{url}?sslmode=verify-full")).once()
    trusted = f"{url}?sslmode=verify-full&sslrootcert={server.folder}/tls.pem"

    assert Shipper(folder, sink_at(trusted)).once().delivered == 1
