"""OpenTelemetry's SDK set up so that a failed export is heard of. Imported where it is installed.

The SDK's own processors throw away what their exporter did not take, and say nothing.
"""

import os
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from safegen.errors import InputError

_PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


class _Confirmed:
    """Exports at a flush, in the thread that asks for it, which says whether it worked."""

    def __init__(self, export: Callable[[Sequence[Any]], Any], shutdown: Callable[[], Any]) -> None:
        self._export = export
        self._shutdown = shutdown
        self._waiting: list[Any] = []

    def shutdown(self) -> None:
        self._shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Whether the exporter took everything; what it did not is for the sender to send anew."""
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


def providers() -> tuple[LoggerProvider, TracerProvider]:
    """Providers as `OTEL_LOGS_EXPORTER`, `OTEL_TRACES_EXPORTER` (default otlp) and so on say.

    Raises:
        InputError: they name an exporter that is not installed, or none at all.
    """
    log_exporter, span_exporter = _exporter("logs"), _exporter("traces")
    if log_exporter is None and span_exporter is None:
        raise InputError(
            "both OTEL_LOGS_EXPORTER and OTEL_TRACES_EXPORTER are none",
            "leave one of them at its default, otlp",
        )
    resource = Resource.create()
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "safegen"}))
    logs = LoggerProvider(resource, shutdown_on_exit=False)
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    if log_exporter is not None:
        logs.add_log_record_processor(ConfirmedLogs(log_exporter))
    if span_exporter is not None:
        traces.add_span_processor(ConfirmedSpans(span_exporter))
    return logs, traces


def _exporter(signal: str) -> Any:
    name = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp").strip()
    if name == "none":
        return None
    if name == "otlp":
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        name = _PROTOCOLS.get(protocol, protocol)
    found = list(entry_points(group=f"opentelemetry_{signal}_exporter", name=name))
    if not found:
        raise InputError(
            f"no exporter {name!r} for {signal} is installed",
            "install its package (opentelemetry-exporter-…), or set OTEL_EXPORTER_OTLP_PROTOCOL",
        )
    return found[0].load()()
