"""OTLP over HTTP, with the collector's answers read. Imported where the exporter is installed.

The SDK's exporters call every status below 400 a success, and do not look at what came with it: a
refusal in part, a redirect, or a page on which somebody should sign in. Nor do they end what drips,
or stop at what is too long: what goes over the wire here is up to `Wired`.
"""

from typing import Any

import requests
from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from requests.adapters import BaseAdapter, HTTPAdapter

from safegen.audit.sinks.otel_base import RefusedError
from safegen.audit.sinks.otel_wire import Wired
from safegen.diagnostics import Diagnostics
from safegen.errors import words
from safegen.wire import BadAnswerError

_RESPONSES: dict[str, Any] = {
    "logs": ExportLogsServiceResponse,
    "traces": ExportTraceServiceResponse,
}
_PROTOBUF, _JSON, _PAGE = "application/x-protobuf", "application/json", "text/html"
_FEWER = (400, 413, 422)  # what these refuse, they may take in smaller portions
_LONGEST = 300  # characters of what a collector says

_log = Diagnostics("safegen.sinks")


class Heard:
    """An exporter of the SDK whose `export` raises what the collector said, if it took not all."""

    def __init__(self, signal: str, exporter: type[Any], session: requests.Session) -> None:
        """Export `logs` or `traces` through this session, every adapter of which is listened to."""
        self._signal = signal
        self._refused: RefusedError | None = None
        for prefix, adapter in list(session.adapters.items()):
            # That of a provider of credentials may sign or encrypt: it is left as it is.
            inner = Wired() if type(adapter) is HTTPAdapter else adapter
            session.mount(prefix, _Listening(self, inner))
        self._exporter = exporter(session=session)

    def export(self, batch: Any) -> Any:
        """Export, and say as the SDK does how it went.

        Raises:
            RefusedError: the collector did not take all of it; says what it said.
        """
        self._refused = None
        result = None
        try:
            result = self._exporter.export(batch)
        except requests.RequestException:  # which some versions of the SDK let through
            if self._refused is None:
                raise
        if self._refused is not None:
            raise self._refused
        return result

    def shutdown(self) -> None:
        """End the exporter."""
        self._exporter.shutdown()

    def failed(self, error: Exception) -> None:
        """There was no answer, or none that is read."""
        what = "" if isinstance(error.__cause__, BadAnswerError) else "no answer: "
        self._refused = RefusedError(self._signal, f"{what}{_line(error)}", fewer=False)

    def answered(self, response: requests.Response) -> bool:
        """Read an answer; whether the exporter may judge it by its status."""
        status, self._refused = response.status_code, None
        if status >= 400:
            told = " ".join(filter(None, (str(status), response.reason, _said(response))))
            self._refused = RefusedError(self._signal, told, fewer=status in _FEWER)
            return True  # some are worth another try, which the exporter makes
        if status >= 300:
            where = response.headers.get("Location", "")
            told = (
                f"{status} {response.reason}: a redirect to {_line(where)}, which is not followed"
            )
            self._refused = RefusedError(self._signal, told, fewer=False)
        elif response.content:
            self._refused = self._judged(response)
        return self._refused is None

    def _judged(self, response: requests.Response) -> RefusedError | None:
        kind = _kind(response)
        found = _RESPONSES[self._signal]()
        try:
            if kind == _JSON:
                Parse(response.content, found, ignore_unknown_fields=True)
            elif kind in (_PROTOBUF, ""):
                found.ParseFromString(response.content)
            else:
                raise DecodeError(kind)
        except (DecodeError, ParseError):
            told = f"{response.status_code} with {kind or 'something'} that is no answer of OTLP"
            return RefusedError(self._signal, told, fewer=False)
        partial = found.partial_success
        rejected = (
            partial.rejected_log_records if self._signal == "logs" else partial.rejected_spans
        )
        said = _line(partial.error_message)
        if rejected:
            told = f"{response.status_code}, but {rejected} rejected: {said or 'no reason given'}"
            return RefusedError(self._signal, told, fewer=True)
        if said:
            _log.warning("the collector took all, and warns", signal=self._signal, warning=said)
        return None


class _Listening(BaseAdapter):
    """An adapter that tells of each answer; one that is no success ends the request."""

    def __init__(self, heard: Heard, inner: BaseAdapter) -> None:
        super().__init__()
        self._heard, self._inner = heard, inner

    def send(self, request: requests.PreparedRequest, *given: Any, **options: Any) -> Any:
        """Send, and listen."""
        try:
            response = self._inner.send(request, *given, **options)
            _ = response.content  # which is read here, so that an end in its midst is heard of too
        except Exception as error:
            self._heard.failed(error)
            raise
        if not self._heard.answered(response):
            raise requests.RequestException("the collector did not take it", response=response)
        return response

    def close(self) -> None:
        """Close what it listens to."""
        self._inner.close()


def _kind(response: requests.Response) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _said(response: requests.Response) -> str:
    """The message of a refusal: OTLP's own, or text, but no page."""
    kind = _kind(response)
    if kind == _PROTOBUF:
        try:
            return _line(Status.FromString(response.content).message)
        except DecodeError:
            return ""
    return "" if kind == _PAGE else _line(response.text)


def _line(said: object) -> str:
    """A collector's words as one line that any terminal can show."""
    text = "".join(sign if sign.isprintable() else " " for sign in words(said))
    return " ".join(text.split())[:_LONGEST]
