"""From what people write after `--to` to the sink."""

from safegen.audit.sinks.base import Sink
from safegen.errors import InputError


def sink_at(to: str) -> Sink:
    """The sink at an address.

    Args:
        to: `postgresql://USER:PASSWORD@HOST/DATABASE`, `parquet:FOLDER`, `otel`,
            `syslog://HOST:PORT` (also `syslog+tls`, `syslog+udp`) or `stdout`.

    Raises:
        InputError: there is no such sink; what was given is not repeated, as it may hold a
            password.
        MissingExtraError: its package is not installed.
    """
    scheme, colon, rest = to.partition(":")
    kind = scheme.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        from safegen.audit.sinks.postgres import Postgres

        return Postgres(f"postgresql{scheme.removeprefix(kind)}{colon}{rest}")
    if scheme == "parquet" and rest:
        from safegen.audit.sinks.parquet import Parquet

        return Parquet(rest)
    if kind == "syslog":
        from safegen.audit.sinks.syslog import Syslog

        return Syslog(to)
    if to == "otel":
        from safegen.audit.sinks.otel import OpenTelemetry

        return OpenTelemetry.from_environment()
    if to == "stdout":
        from safegen.audit.sinks.stdout import Stdout

        return Stdout()
    raise InputError(
        "no sink has this address",
        "give postgresql://USER:PASSWORD@HOST/DATABASE, parquet:FOLDER, otel, syslog://HOST:PORT "
        "or stdout",
    )
