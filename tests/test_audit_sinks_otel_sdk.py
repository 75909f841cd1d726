"""The SDK as the environment sets it up, with OTLP over HTTP to a collector on this machine."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ledgers import FULL, ledger, record
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from safegen.audit.sinks import Shipper, sink_at
from safegen.audit.sinks.otel_sdk import providers
from safegen.errors import InputError, SinkError


class Collector:
    """What arrived, and the status with which it is answered."""

    def __init__(self) -> None:
        self.logs: list[str] = []
        self.spans: list[str] = []
        self.services: set[str] = set()
        self.status = 200

    def take(self, path: str, body: bytes) -> None:
        """Read a request of OTLP."""
        if path == "/v1/logs":
            logs = ExportLogsServiceRequest.FromString(body).resource_logs
            told = [(each.resource, scope) for each in logs for scope in each.scope_logs]
            self.logs.extend(log.event_name for _, scope in told for log in scope.log_records)
        else:
            traces = ExportTraceServiceRequest.FromString(body).resource_spans
            told = [(each.resource, scope) for each in traces for scope in each.scope_spans]
            self.spans.extend(span.name for _, scope in told for span in scope.spans)
        for resource, _ in told:
            named = [a for a in resource.attributes if a.key == "service.name"]
            self.services.update(attribute.value.string_value for attribute in named)


@contextmanager
def collector() -> Iterator[tuple[str, Collector]]:
    """A collector and its address."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if found.status == 200:
                found.take(self.path, body)
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not to stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", found
        server.shutdown()
        thread.join()


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
