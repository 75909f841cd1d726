"""OpenTelemetry's SDK set up so that a failed export is heard of. Imported where it is installed.

The SDK's own processors throw away what their exporter did not take, and say nothing.
"""

import os
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import get_value
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from safegen.audit.sinks.otel_base import LINE
from safegen.errors import InputError, MissingExtraError

_HTTP, _GRPC = "otlp_proto_http", "otlp_proto_grpc"
_PROTOCOLS = {"http/protobuf": _HTTP, "grpc": _GRPC}
_SIGNALS = ("logs", "traces")


class _Confirmed:
    """Exports at a flush, in the thread that asks for it, which says whether it worked."""

    def __init__(self, export: Callable[[Sequence[Any]], Any], shutdown: Callable[[], Any]) -> None:
        self._export = export
        self._shutdown = shutdown
        self._waiting: list[Any] = []

    def shutdown(self) -> None:
        self._shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Whether the exporter took everything; what it did not is for the sender to send anew.

        Raises:
            RefusedError: an exporter that `exporter` made was told why not.
        """
        waiting, self._waiting = self._waiting, []
        return not waiting or self._export(waiting).name == "SUCCESS"


class ConfirmedLogs(_Confirmed, LogRecordProcessor):
    """A processor for log records whose flush says whether the exporter took them."""

    def __init__(self, exporter: LogRecordExporter) -> None:
        super().__init__(exporter.export, exporter.shutdown)

    def on_emit(self, log_record: Any) -> None:
        """Keep it until the flush."""
        self._waiting.append(
            ReadableLogRecord(
                log_record.log_record,
                log_record.resource,
                log_record.instrumentation_scope,
                log_record.limits,
            )
        )


class ConfirmedSpans(_Confirmed, SpanProcessor):
    """A processor for spans whose flush says whether the exporter took them."""

    def __init__(self, exporter: SpanExporter) -> None:
        super().__init__(exporter.export, exporter.shutdown)

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Nothing yet."""

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it until the flush, unless the sampler left it out."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._waiting.append(span)


class LineIds(RandomIdGenerator):
    """Ids of a line's trace and span, from its hash: a span that arrives twice is the same one."""

    def generate_trace_id(self) -> int:
        """That of the line, or any."""
        line = get_value(LINE)
        return int(line[:32], 16) if isinstance(line, str) else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """That of the line, or any."""
        line = get_value(LINE)
        return int(line[32:48], 16) if isinstance(line, str) else super().generate_span_id()


def providers() -> tuple[LoggerProvider, TracerProvider]:
    """Providers as `OTEL_LOGS_EXPORTER`, `OTEL_TRACES_EXPORTER` (default otlp) and so on say.

    Raises:
        InputError: they name an exporter that is not installed, or none at all.
    """
    log_exporter, span_exporter = (exporter(signal) for signal in _SIGNALS)
    if log_exporter is None and span_exporter is None:
        raise InputError(
            "both OTEL_LOGS_EXPORTER and OTEL_TRACES_EXPORTER are none",
            "leave one of them at its default, otlp",
        )
    resource = Resource.create()
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "safegen"}))
    logs = LoggerProvider(resource, shutdown_on_exit=False)
    traces = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=LineIds())
    if log_exporter is not None:
        logs.add_log_record_processor(ConfirmedLogs(log_exporter))
    if span_exporter is not None:
        traces.add_span_processor(ConfirmedSpans(span_exporter))
    return logs, traces


def exporter(signal: str) -> Any:
    """The exporter of `logs` or `traces` that the environment names; None for `none`.

    Over HTTP it listens to the collector, and its `export` raises why it failed.

    Raises:
        InputError: it is not installed.
        MissingExtraError: a package that it sends with is not.
    """
    name = _named(signal)
    if name == "none":
        return None
    found = list(entry_points(group=f"opentelemetry_{signal}_exporter", name=name))
    if not found:
        raise InputError(
            f"no exporter {name!r} for {signal} is installed",
            "install its package (opentelemetry-exporter-…), or set OTEL_EXPORTER_OTLP_PROTOCOL",
        )
    made = found[0].load()
    if name != _HTTP:
        return made()
    try:
        from safegen.audit.sinks.otel_http import Heard
    except ImportError as error:
        raise MissingExtraError(error.name or "httpx", "otel", "OTLP over HTTP") from error

    return Heard(signal, made, _session(signal))


def address() -> str:
    """Where the environment says that logs and spans go: `otel:` and a URL without passwords."""
    return f"otel:{','.join(dict.fromkeys(filter(None, map(_endpoint, _SIGNALS))))}"


def _named(signal: str) -> str:
    name = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp").strip()
    if name != "otlp":
        return name
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    return _PROTOCOLS.get(protocol, protocol)


def _endpoint(signal: str) -> str:
    name = _named(signal)
    if name not in _PROTOCOLS.values():
        return "" if name == "none" else name
    url = (
        os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
        or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or f"http://localhost:{4317 if name == _GRPC else 4318}"
    )
    scheme, slashes, rest = url.strip().partition("://")
    parts = urlsplit(f"//{rest if slashes else scheme}")
    where = f"{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
    return f"{scheme}{slashes}{where}" if slashes else where


def _session(signal: str) -> Any:
    """What the exporter would send with: that of a provider of credentials, where one is named."""
    import requests

    prefix, suffix = "OTEL_PYTHON_EXPORTER_OTLP_HTTP", "CREDENTIAL_PROVIDER"
    name = os.environ.get(f"{prefix}_{suffix}") or os.environ.get(
        f"{prefix}_{signal.upper()}_{suffix}"
    )
    if not name:
        return requests.Session()
    found = list(entry_points(group="opentelemetry_otlp_credential_provider", name=name))
    if not found:
        raise InputError(
            f"no provider of credentials {name!r} is installed",
            f"install its package, or unset {prefix}_{suffix}",
        )
    return found[0].load()()
