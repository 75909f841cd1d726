"""The SDK as the environment sets it up, with OTLP over HTTP to a collector on this machine."""

import gzip
import re
import ssl
import sys
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest
import requests
import structlog
from collectors import PROTOBUF, collector
from google.rpc.status_pb2 import Status
from ledgers import FULL, ledger, record
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from servers import certificate
from sockets import PATIENCE, Peer, raw_server

from safegen.audit.ledger import Ledger
from safegen.audit.ledger.format import canonical
from safegen.audit.sinks import Shipper, sink_at, statuses
from safegen.audit.sinks.otel_http import Heard
from safegen.audit.sinks.otel_sdk import address, providers
from safegen.errors import InputError, SinkError


def test_records_reach_a_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs and spans arrive over OTLP under the service's name; a second run repeats nothing."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "studio")
    folder = ledger(tmp_path, FULL, record(1))
    with collector() as (address, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        Shipper(folder, sink_at("otel")).once()
        Shipper(folder, sink_at("otel")).once()

    assert found.logs == ["safegen.request", "gen_ai.evaluation.result", "safegen.request"]
    assert found.spans == ["generate_content image"] * 2
    assert found.services == {"studio"}


@pytest.mark.parametrize(
    ("attributes", "service"),
    [
        ("service.name=studio,deployment.environment=prod", "studio"),
        ("deployment.environment=prod", "safegen"),
    ],
)
def test_the_service_has_the_name_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch, attributes: str, service: str
) -> None:
    """By either of the two variables of OpenTelemetry; by none, the library's."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", attributes)
    _, traces = providers()

    assert traces.resource.attributes["service.name"] == service
    assert traces.resource.attributes["deployment.environment"] == "prod"


def test_a_collector_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is heard, and the records are offered again, as they are if nobody answers."""
    folder = ledger(tmp_path, FULL)
    with collector() as (address, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        found.status = 400
        with pytest.raises(SinkError, match="collector does not take"):
            Shipper(folder, sink_at("otel")).once()
        found.status = 200
        Shipper(folder, sink_at("otel")).once()

    assert found.logs == ["safegen.request", "gen_ai.evaluation.result"]


def test_exporters_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One signal can be left out, both cannot, and an exporter must be installed."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    with collector() as (address, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        Shipper(ledger(tmp_path, record(0)), sink_at("otel")).once()
    assert (found.logs, found.spans) == (["safegen.request"], [])

    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "pigeon")
    with pytest.raises(InputError, match="no exporter 'pigeon' for logs"):
        sink_at("otel")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    with pytest.raises(InputError, match="both"):
        sink_at("otel")


def answer(rejected: int, said: str) -> bytes:
    """A collector's answer to logs."""
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=said)
    return bytes(ExportLogsServiceResponse(partial_success=partial).SerializeToString())


@pytest.mark.parametrize(
    ("status", "headers", "body", "told"),
    [
        (200, PROTOBUF, answer(9, "quota\n exceeded"), "logs: 200, but 9 rejected: quota exceeded"),
        (
            200,
            {"Content-Type": "application/json; charset=utf-8"},
            b'{"partialSuccess": {"rejectedLogRecords": "2"}, "more": 1}',
            "logs: 200, but 2 rejected: no reason given",
        ),
        (302, {"Location": "/login"}, b"", "logs: 302 Found: a redirect to /login, which is not"),
        (200, {"Content-Type": "text/html"}, b"<p>sign in", "200 with text/html that is no answer"),
        (200, {}, b"<html>sign in</html>", "200 with something that is no answer of OTLP"),
        (200, PROTOBUF, b"<html>", "200 with application/x-protobuf that is no answer"),
        (
            400,
            PROTOBUF,
            Status(message="no such tenant").SerializeToString(),
            "logs: 400 Bad Request no such tenant$",
        ),
        (400, PROTOBUF, b"<", "logs: 400 Bad Request$"),
        (401, {"Content-Type": "text/plain"}, b"who\x1b are you?", "401 Unauthorized who are you"),
        (403, {"Content-Type": "text/html"}, b"<p>no", "logs: 403 Forbidden$"),
    ],
)
def test_what_is_refused_is_not_delivered(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    headers: dict[str, str],
    body: bytes,
    told: str,
) -> None:
    """A refusal in part, a redirect, a page: the error and the status repeat what was said."""
    folder = ledger(tmp_path, record(0))
    with collector() as (where, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        found.status, found.headers, found.answer = status, headers, body
        with pytest.raises(SinkError) as caught:
            Shipper(folder, sink_at("otel")).once()
        found.status, found.headers, found.answer = 200, {}, b""
        [kept] = statuses(folder)

        assert caught.match("collector does not take")
        assert re.search(told, caught.value.message), caught.value.message
        assert (kept.delivered, kept.behind, kept.error) == (0, 1, caught.value.message)
        assert Shipper(folder, sink_at("otel")).once().delivered == 1


def test_a_warning_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that takes all may say something; it is logged."""
    with collector() as (where, found), structlog.testing.capture_logs() as logged:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
        found.headers, found.answer = PROTOBUF, answer(0, "use v2")
        Shipper(ledger(tmp_path, record(0)), sink_at("otel")).once()

    assert [(each["signal"], each["warning"]) for each in logged] == [("logs", "use v2")]


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is told, and the signal."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")

    with pytest.raises(SinkError, match=r"logs: no answer: .*refused"):
        Shipper(ledger(tmp_path, record(0)), sink_at("otel")).once()


def commit(folder: Path, count: int) -> Path:
    """A ledger with one commit of so many records."""
    with Ledger.open(folder) as opened:
        opened._write([canonical(record(n).model_dump(mode="json")) for n in range(count)])
    return folder


def test_a_limit_on_requests_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is halved until the collector takes it; everything arrives, and nothing twice."""
    folder = commit(tmp_path, 300)
    with collector() as (where, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        found.longest = 30_000
        told = Shipper(folder, sink_at("otel")).once()

    assert (told.delivered, told.behind) == (300, 0)
    assert found.records == list(range(300))
    assert len(found.spans) == len({*found.ids}) == 300


def test_one_line_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds up what follows; what stands before it is delivered, and not again at each try."""
    folder = commit(tmp_path, 40)
    with collector() as (where, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        found.unwanted = record(17).id.encode()
        for _ in range(3):
            # As the Python that runs the collector words it: 3.13 does otherwise than 3.12.
            with pytest.raises(SinkError, match=f"logs: 413 {HTTPStatus(413).phrase}"):
                Shipper(folder, sink_at("otel")).once()
        [kept] = statuses(folder)
        assert (kept.delivered, kept.behind) == (17, 23)
        assert "413" in kept.error
        assert found.records == list(range(17))
        found.unwanted = b"\0unwanted"
        Shipper(folder, sink_at("otel")).once()

    assert found.records == list(range(40))
    assert len(found.spans) == 40


def test_one_signal_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans come after their logs were taken; logs that were are not sent again with the spans."""
    folder = ledger(tmp_path, FULL, record(1))
    with collector() as (where, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        found.refused = "/v1/logs"
        shipper = Shipper(folder, sink_at("otel"))
        with pytest.raises(SinkError, match="logs: 404 Not Found"):
            shipper.once()
        assert (found.logs, found.spans) == ([], [])
        found.refused = "/v1/traces"
        for _ in range(2):
            with pytest.raises(SinkError, match="traces: 404 Not Found"):
                shipper.once()
        found.refused = ""
        shipper.once()

    assert found.records == [0, 1]
    assert len(found.spans) == 2


def test_a_span_that_comes_twice_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ids are those of the line, so that a store of traces has one; other lines have others."""
    folder = ledger(tmp_path / "ledger", FULL, record(1))
    with collector() as (where, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        for state in ("one", "two"):
            Shipper(folder, sink_at("otel"), state=tmp_path / state).once()

    assert found.ids[:2] == found.ids[2:]
    assert len({*found.ids}) == 2
    made = providers()[1].get_tracer("other").start_span("other").get_span_context()
    assert made.is_valid


def test_each_collector_has_a_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one collector has, another one lacks, until it is shipped there too."""
    folder = ledger(tmp_path, record(0), record(1))
    with collector() as (one, first), collector() as (two, second):
        for where in (one, two, one):
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
            Shipper(folder, sink_at("otel")).once()

    assert first.records == second.records == [0, 1]
    assert {status.to for status in statuses(folder)} == {f"otel:{one}", f"otel:{two}"}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "otel:http://localhost:4318"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "otel:http://localhost:4317"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://me:hunter2@host:1/tenant/?key=hunter2"},
            "otel:https://host:1/tenant",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "me:hunter2@host:4317"}, "otel:host:4317"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://host",
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://logs/in",
            },
            "otel:http://logs/in,http://host",
        ),
        ({"OTEL_LOGS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "console"}, "otel:console"),
    ],
)
def test_the_name_of_a_collector(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    """It is where the environment says that logs and spans go, without passwords."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert address() == told


class Plain:
    """An exporter that lets what its session raises through, as some versions of the SDK do."""

    def __init__(self, session: requests.Session) -> None:
        self.session = session

    def export(self, where: str) -> str:
        """Ask for a page."""
        return str(self.session.post(where).status_code)

    def shutdown(self) -> None:
        """Let go of the connections."""
        self.session.close()


def test_an_exporter_that_raises() -> None:
    """What the collector said is told; an error that is no answer of a collector stays itself."""
    heard = Heard("logs", Plain, requests.Session())
    with collector() as (where, found):
        found.answer = b"<html>"
        with pytest.raises(SinkError, match="logs: 200 with something that is no answer"):
            heard.export(f"{where}/v1/logs")
        with pytest.raises(requests.exceptions.InvalidSchema):
            heard.export("pigeon://somewhere")
        found.answer = b""
        assert heard.export(f"{where}/v1/logs") == "200"
    heard.shutdown()


def test_credentials_of_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that an installed provider gives is used, and listened to; one must be there."""
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_LOGS_CREDENTIAL_PROVIDER", "ours")
    with pytest.raises(InputError, match="no provider of credentials 'ours'"):
        sink_at("otel")
    about = tmp_path / "ours-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ours\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[opentelemetry_otlp_credential_provider]\nours = ours_credentials:session\n"
    )
    (tmp_path / "ours_credentials.py").write_text(
        "import requests\ndef session():\n    made = requests.Session()\n"
        "    made.auth = ('me', 'hunter2')\n    return made\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with collector() as (where, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        found.headers, found.answer = PROTOBUF, answer(1, "full")
        with pytest.raises(SinkError, match="1 rejected: full"):
            Shipper(ledger(tmp_path / "ledger", record(0)), sink_at("otel")).once()
    sys.modules.pop("ours_credentials")


def shipped_to(serve: Callable[[Peer], None], folder: Path, patch: pytest.MonkeyPatch) -> str:
    """The error of shipping a record to a server that does this."""
    patch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with raw_server(serve) as server:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        with pytest.raises(SinkError) as caught:
            Shipper(ledger(folder, record(0)), sink_at("otel")).once()
        assert server.left.acquire(timeout=PATIENCE / 2)
    return caught.value.message


def test_a_collector_that_drips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its head, or its body, a byte at a time: the export ends, and the connection with it."""

    def head(peer: Peer) -> None:
        peer.request()
        peer.drip(b"HTTP/1.1 200 OK\r\nA: b\r\n")

    def body(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        peer.drip(b"\0")

    for number, serve in enumerate((head, body)):
        told = shipped_to(serve, tmp_path / str(number), monkeypatch)
        assert "logs: no answer: too slow" in told


@pytest.mark.parametrize(
    ("status", "coding", "told"),
    [
        (b"200 OK", b"Content-Encoding: gzip\r\n", "logs: the answer is compressed"),
        (b"200 OK", b"", "logs: the answer is too long: expected at most 1000000 bytes"),
        (b"400 No", b"Content-Encoding: gzip\r\n", "logs: 400 No"),
    ],
)
def test_a_collector_that_says_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: bytes, coding: bytes, told: str
) -> None:
    """A few bytes may unpack to gigabytes: nothing is unpacked, and a long answer is left."""
    content = gzip.compress(b"\0" * 2_000_000) if coding else b"\0" * 2_000_000

    def serve(peer: Peer) -> None:
        assert b"Accept-Encoding: identity\r\n" in peer.request()
        length = f"Content-Length: {len(content)}\r\n\r\n".encode()
        peer.send(b"HTTP/1.1 " + status + b"\r\n" + coding + length + content)

    assert told in shipped_to(serve, tmp_path, monkeypatch)


def test_certificates_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector is trusted by the named authority alone, and knows the shipper by its own."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # these go before the exporter's own
        monkeypatch.delenv(name, raising=False)
    certificate(tmp_path)
    pem, key = tmp_path / "tls.pem", tmp_path / "tls.key"
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, key)
    tls.load_verify_locations(pem)
    tls.verify_mode = ssl.CERT_REQUIRED
    folder = ledger(tmp_path / "ledger", record(0))
    with collector(tls) as (where, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
        with pytest.raises(SinkError, match="SSLCertVerificationError: self-signed certificate"):
            Shipper(folder, sink_at("otel")).once()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(pem))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(pem))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(key))
        assert Shipper(folder, sink_at("otel")).once().delivered == 1
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "typo"))
        with pytest.raises(SinkError, match="cannot use the certificates or the proxy"):
            Shipper(folder, sink_at("otel"), state=tmp_path / "new").once()

    assert found.records == [0]


def test_proxies_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to another machine goes by the proxy, and what is excepted does not."""
    for name in ("http_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    folder = ledger(tmp_path, record(0))
    with collector() as (proxy, passed), collector() as (where, found):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid")
        passed.refused = "http://collector.invalid/v1/logs"
        with pytest.raises(SinkError, match="logs: 404"):
            Shipper(folder, sink_at("otel")).once()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        Shipper(folder, sink_at("otel")).once()

    assert found.records == [0]
