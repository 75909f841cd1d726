"""OpenTelemetry as a sink: what the SDK gets through the API."""

import json
from pathlib import Path

import pytest
from ledgers import BARE, FULL, event, ledger
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from programs import printed

from safegen.audit.sinks import Shipper
from safegen.audit.sinks.otel import OpenTelemetry
from safegen.audit.sinks.otel_sdk import ConfirmedLogs, ConfirmedSpans
from safegen.errors import InputError, SinkError

NOW = 1767323045678 * 10**6  # when FULL was made, in nanoseconds


def providers(
    logs: InMemoryLogRecordExporter, spans: InMemorySpanExporter
) -> tuple[LoggerProvider, TracerProvider]:
    """An SDK with these exporters."""
    log_provider = LoggerProvider(shutdown_on_exit=False)
    log_provider.add_log_record_processor(ConfirmedLogs(logs))
    span_provider = TracerProvider(shutdown_on_exit=False)
    span_provider.add_span_processor(ConfirmedSpans(spans))
    return log_provider, span_provider


def test_a_request_is_a_span_with_logs(tmp_path: Path) -> None:
    """Request and findings share its trace and time; names are those of the conventions."""
    logs, spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
    folder = ledger(tmp_path, FULL, BARE, event(1, "upheld", FULL))
    Shipper(folder, OpenTelemetry(*providers(logs, spans))).once()
    first, second = spans.get_finished_spans()
    found = [each.log_record for each in logs.get_finished_logs()]
    request, finding, bare, upheld = found

    assert [log.event_name for log in found] == [
        "safegen.request",
        "gen_ai.evaluation.result",
        "safegen.request",
        "safegen.event",
    ]
    assert first.name == "generate_content image"
    assert (first.start_time, first.end_time) == (NOW, NOW)
    assert first.attributes is not None
    assert first.attributes["gen_ai.response.id"] == FULL.id
    assert first.attributes["safegen.rules"] == ("occ-1",)
    assert {request.trace_id, finding.trace_id} == {first.context.trace_id}
    assert (request.timestamp, request.severity_text) == (NOW, "WARNING")
    assert json.loads(str(request.body)) == json.loads(FULL.model_dump_json())
    assert finding.attributes is not None
    assert finding.attributes["gen_ai.evaluation.name"] == "nsfw/unsafe"
    assert finding.attributes["gen_ai.evaluation.score.value"] == 0.875
    assert finding.attributes["gen_ai.evaluation.score.label"] == "fail"
    assert finding.attributes["safegen.image"] == 1
    assert bare.attributes is not None
    assert bare.attributes["error.type"] == "ClassifierError"
    assert not second.status.is_ok
    assert upheld.attributes is not None
    assert upheld.attributes["safegen.event.about"] == FULL.id


def test_a_failed_export_is_delivered_again(tmp_path: Path) -> None:
    """What the exporter of either signal did not take counts as not delivered."""
    logs, spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
    folder = ledger(tmp_path, FULL)
    sink = OpenTelemetry(*providers(logs, spans))
    spans.shutdown()
    with pytest.raises(SinkError, match="collector does not take logs or spans"):
        Shipper(folder, sink).once()
    logs.clear()
    again = InMemorySpanExporter()
    Shipper(folder, OpenTelemetry(*providers(logs, again))).once()

    assert len(again.get_finished_spans()) == 1
    assert len(logs.get_finished_logs()) == 2


def test_a_process_without_an_sdk() -> None:
    """The API alone throws everything away, which would lose records without a word."""
    with pytest.raises(InputError, match="no OpenTelemetry SDK"):
        OpenTelemetry()


def test_only_the_api_is_needed() -> None:
    """The sink itself loads no SDK, whose place is the process that configures one."""
    program = """
import sys, safegen.audit.sinks.otel
from safegen.errors import InputError
try:
    safegen.audit.sinks.otel.OpenTelemetry()
except InputError:
    print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""
    assert printed(program) == "[]"
