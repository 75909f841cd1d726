"""What `otel` and what it is set up with, `otel_sdk` and `otel_http`, both know."""

from safegen.errors import SinkError

LINE = "safegen-line"  # in the context in which a span starts: the hash of its line


class RefusedError(SinkError):
    """An export that failed: of which signal, why, and whether `fewer` lines may be taken."""

    def __init__(self, signal: str, told: str, *, fewer: bool) -> None:
        super().__init__(
            f"the OpenTelemetry collector does not take logs or spans: {signal}: {told}",
            "see OTEL_EXPORTER_OTLP_ENDPOINT, whether the collector runs, and its limits",
        )
        self.fewer = fewer
