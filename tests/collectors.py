"""A collector of OpenTelemetry on this machine, which takes OTLP over HTTP or says why not."""

import gzip
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Collector:
    """What arrived, and the status with which it is answered."""

    def __init__(self) -> None:
        self.logs: list[str] = []
        self.spans: list[str] = []
        self.records: list[int] = []
        self.ids: list[tuple[bytes, bytes]] = []
        self.services: set[str] = set()
        self.status = 200
        self.refused = ""
        self.longest = 2**30
        self.unwanted = b"\0unwanted"
        self.headers: dict[str, str] = {}
        self.answer = b""

    def judge(self, path: str, body: bytes) -> int:
        """The status for a request, by what was set."""
        if path == self.refused:
            return 404
        if len(body) > self.longest or self.unwanted in body:
            return 413
        return self.status

    def take(self, path: str, body: bytes) -> None:
        """Read a request of OTLP."""
        if path == "/v1/logs":
            logs = ExportLogsServiceRequest.FromString(body).resource_logs
            told = [(each.resource, scope) for each in logs for scope in each.scope_logs]
            got = [log for _, scope in told for log in scope.log_records]
            self.logs.extend(log.event_name for log in got)
            self.records.extend(
                each.value.int_value
                for log in got
                for each in log.attributes
                if each.key == "safegen.ledger.seq" and log.event_name == "safegen.request"
            )
        else:
            traces = ExportTraceServiceRequest.FromString(body).resource_spans
            told = [(each.resource, scope) for each in traces for scope in each.scope_spans]
            spans = [span for _, scope in told for span in scope.spans]
            self.spans.extend(span.name for span in spans)
            self.ids.extend((span.trace_id, span.span_id) for span in spans)
        for resource, _ in told:
            named = [a for a in resource.attributes if a.key == "service.name"]
            self.services.update(attribute.value.string_value for attribute in named)


@contextmanager
def collector(tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, Collector]]:
    """A collector and its address, by TLS where its side of that is given."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            status = found.judge(self.path, body)
            if status == 200:
                found.take(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(found.answer)))
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found.answer)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not to stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}", found
        finally:
            server.shutdown()
            thread.join()
