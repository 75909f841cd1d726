"""OpenTelemetry: a span and a log record for each request, a log record for each finding and event.

Only OpenTelemetry's API is used here: the SDK and the exporter are those of the process, or those
that `otel_sdk` sets up for one that has none. Names are those of the semantic conventions for
generative AI (`gen_ai.*`, in development there), and `safegen.*` for what has no name there.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from pydantic_core import to_json

from safegen.audit.ladder import flagged
from safegen.audit.sinks.base import Batch, Cursor, Item
from safegen.audit.sinks.otel_base import LINE, RefusedError
from safegen.audit.sinks.rows import moment
from safegen.errors import InputError, MissingExtraError, SinkError
from safegen.nouns import Event, Outcome, Record

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.trace import Span, TracerProvider

_SCOPE = "safegen.audit"
_PURPOSE = "shipping to OpenTelemetry"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Attributes = dict[str, Any]


class OpenTelemetry:
    """A pair of providers, which must know how to flush and say whether it worked.

    A `BatchLogRecordProcessor` says so even if its exporter failed; see `otel_sdk.Confirmed`.

    The spans of some lines are sent once their logs were taken. What is refused is offered again in
    halves, down to one line.
    """

    most, pause = 200, 0.5

    def __init__(
        self,
        logger_provider: "LoggerProvider | None" = None,
        tracer_provider: "TracerProvider | None" = None,
        *,
        to: str = "otel",
    ) -> None:
        """Deliver to these providers, by default those of the process.

        Args:
            logger_provider: takes the logs.
            tracer_provider: takes the spans.
            to: name of the collector; how far it has come is kept by it.

        Raises:
            MissingExtraError: OpenTelemetry's API is not installed.
            InputError: the process has no SDK, so that everything would be thrown away.
        """
        try:
            from opentelemetry import trace
            from opentelemetry._logs import get_logger_provider
        except ImportError as error:
            raise MissingExtraError("opentelemetry-api", "otel", _PURPOSE) from error
        logs = logger_provider or get_logger_provider()
        traces = tracer_provider or trace.get_tracer_provider()
        if not hasattr(logs, "force_flush") or not hasattr(traces, "force_flush"):
            raise InputError(
                "this process has no OpenTelemetry SDK that could export logs and spans",
                "set one up, or run: safegen audit ship FOLDER --to otel",
            )
        self.to = to
        self._flush_logs, self._flush_spans = logs.force_flush, traces.force_flush
        self._logger = logs.get_logger(_SCOPE)
        self._tracer = traces.get_tracer(_SCOPE)
        self._size = self.most
        self._logged: set[str] = set()  # hashes of lines whose logs were taken, but not their spans

    @classmethod
    def from_environment(cls) -> Self:
        """Deliver where the environment variables `OTEL_…` say.

        Raises:
            MissingExtraError: OpenTelemetry's SDK is not installed.
            InputError: they name an exporter that is not installed.
        """
        try:
            from safegen.audit.sinks.otel_sdk import address, providers
        except ImportError as error:
            raise MissingExtraError("opentelemetry-sdk", "otel", _PURPOSE) from error
        return cls(*providers(), to=address())

    def open(self, kept: Cursor) -> Cursor:
        """Nothing to open."""
        return kept

    def deliver(self, batch: Batch) -> Cursor:
        """Emit what the lines say, and have it exported, as far as it is taken.

        Raises:
            SinkError: not one of them was.
        """
        done = 0
        try:
            while done < len(batch.items):
                done += self._send(batch.items[done : done + self._size], batch.after.ledger)
        except RefusedError as refused:
            if not done:
                raise SinkError(refused.message, refused.mend) from refused
            return batch.after_first(done)  # it is heard again when the rest is offered
        return batch.after

    def close(self) -> None:
        """Nothing to close: the providers are the process's."""

    def _send(self, items: Sequence[Item], ledger: str) -> int:
        """Export the first of these lines; how many were taken."""
        while True:
            count = len(items)
            try:
                self._export(items, ledger)
            except RefusedError as refused:
                self._size = max(1, count // 2)
                if count == 1 or not refused.fewer:
                    raise
                items = items[: self._size]
            else:
                self._size = min(self.most, max(self._size, count + 1 + count // 8))
                return count

    def _export(self, items: Sequence[Item], ledger: str) -> None:
        spans = [self._emit(item, ledger) for item in items]
        _require("logs", self._flush_logs)
        lines = {item.line.hash for item in items}
        self._logged |= lines
        for span, time in filter(None, spans):
            span.end(time)
        _require("traces", self._flush_spans)
        self._logged -= lines

    def _emit(self, item: Item, ledger: str) -> "tuple[Span, int | None] | None":
        """Emit the logs, unless they were taken before; the request's span, to be ended."""
        from opentelemetry._logs import SeverityNumber
        from opentelemetry.trace import StatusCode, use_span

        time = _nanoseconds(item.entry.time)
        attributes: Attributes = {
            "safegen.ledger.key": ledger,
            "safegen.ledger.seq": item.line.seq,
            **_told(item.entry),
        }

        def log(name: str, more: Attributes, body: str = "") -> None:
            if item.line.hash not in self._logged:
                self._logger.emit(
                    timestamp=time,
                    severity_number=SeverityNumber[_SEVERITY[item.level]],
                    severity_text=item.level.upper(),
                    body=body or None,
                    attributes=more,
                    event_name=name,
                )

        body = to_json(item.line.record).decode()
        if isinstance(item.entry, Event):
            log("safegen.event", attributes, body)
            return None
        span = self._started(item.line.hash, attributes, time)
        with use_span(span):
            log("safegen.request", attributes, body)
            for finding in _findings(item.entry):
                log("gen_ai.evaluation.result", attributes | finding)
        if item.entry.outcome == Outcome.ERROR:
            span.set_status(StatusCode.ERROR, item.entry.error)
        return span, time

    def _started(self, line: str, attributes: Attributes, time: int | None) -> "Span":
        from opentelemetry.context import Context, attach, detach, set_value

        name = f"{attributes['gen_ai.operation.name']} {attributes['gen_ai.output.type']}"
        token = attach(set_value(LINE, line, Context()))
        try:
            return self._tracer.start_span(name, attributes=attributes, start_time=time)
        finally:
            detach(token)


def _require(signal: str, flush: Callable[[], bool]) -> None:
    if not flush():
        raise RefusedError(signal, "the exporter says that it failed", fewer=True)


_SEVERITY = {"info": "INFO", "warning": "WARN", "error": "ERROR"}


def _nanoseconds(time: str) -> int | None:
    """Since 1970; None, which is now, where the record tells no moment."""
    told = moment(time)
    return (told - _EPOCH) // timedelta(microseconds=1) * 1000 if told and told > _EPOCH else None


def _told(entry: Record | Event) -> Attributes:
    if isinstance(entry, Event):
        return {
            "safegen.event.what": entry.what,
            "safegen.event.actor": entry.actor,
            "safegen.event.about": entry.about,
        }
    told = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.output.type": "image",
        "gen_ai.response.id": entry.id,
        "gen_ai.request.choice.count": entry.context.images,
        "gen_ai.request.seed": entry.context.seed,
        "safegen.outcome": entry.outcome.value,
        "safegen.tenant": entry.context.tenant,
        "safegen.model.digest": entry.model_digest,
    }
    if entry.decision:
        told["safegen.policy"] = entry.decision.policy
        told["safegen.policy.digest"] = entry.decision.policy_digest
        told["safegen.rules"] = [rule.id for rule in entry.decision.rules]
    if entry.outcome == Outcome.ERROR:
        told["error.type"] = entry.error.partition(":")[0] or "_OTHER"
    return told


def _findings(record: Record) -> Iterator[Attributes]:
    checks = record.decision.checks if record.decision else ()
    for number, image in enumerate(record.images):
        failed = flagged(image.findings, checks)
        for finding in image.findings:
            yield {
                "gen_ai.evaluation.name": f"{finding.detector}/{finding.label}",
                "gen_ai.evaluation.score.value": finding.score,
                "gen_ai.evaluation.score.label": "fail" if finding in failed else "pass",
                "gen_ai.evaluation.explanation": finding.error,
                "safegen.image": number,
            }
