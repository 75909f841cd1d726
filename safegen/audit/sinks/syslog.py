"""Syslog (RFC 5424): over TCP, over TLS (RFC 5425), or over UDP (RFC 5426).

Over TCP and TLS each message has its length before it (RFC 6587). Syslog has no word for
"received"; so each batch is a connection of its own, and `carry` says what counts as delivered.
"""

import os
import socket
import ssl
from typing import Literal
from urllib.parse import urlsplit

from safegen.audit.sinks.base import Batch, Cursor, Item
from safegen.audit.sinks.carry import carry
from safegen.audit.sinks.lines import rendered
from safegen.audit.sinks.rows import moment
from safegen.errors import InputError, SinkError

_FACILITY = 13  # log audit
_SEVERITIES = {"error": 3, "warning": 4, "info": 6}
_PORTS = {"syslog": 514, "syslog+tls": 6514, "syslog+udp": 514}
_LONGEST_DATAGRAM = 65_507
_MOST = 2000  # lines; many, as each batch takes at least the seconds that its connection is held


class Syslog:
    """A receiver. Over UDP nobody knows what arrives: for networks that lose nothing only."""

    most, pause = _MOST, 0.5
    held, patience = 5.0, 30.0  # seconds, of `carry`

    def __init__(self, url: str) -> None:
        """Deliver to `syslog://HOST:PORT`, `syslog+tls://…` or `syslog+udp://…`.

        Raises:
            InputError: this is no such address.
        """
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
        except (KeyError, ValueError):
            host = None
        if not host:
            raise InputError(
                "the address of the syslog receiver has no host, or a port that is none",
                "give syslog://HOST:PORT, syslog+tls://HOST:PORT or syslog+udp://HOST:PORT",
            )
        self._host, self._port = host, port
        self._udp, self._tls = parts.scheme == "syslog+udp", parts.scheme == "syslog+tls"
        self.to = f"{parts.scheme}://{host}:{port}"

    def open(self, kept: Cursor) -> Cursor:
        """Nothing to open: each batch is a connection."""
        return kept

    def deliver(self, batch: Batch) -> Cursor:
        """Send one message for each line.

        Raises:
            SinkError: the receiver is not there, is not known to have taken them all, or a message
                is too long for UDP.
        """
        messages = [_message(item, batch.after.ledger) for item in batch.items]
        try:
            (self._datagrams if self._udp else self._stream)(messages)
        except OSError as error:
            if isinstance(error, TimeoutError):  # fewer may be read in time
                self.most = max(1, len(messages) // 2)
            raise SinkError(
                f"{self.to} takes no messages: {error}",
                "see whether the receiver runs, also behind a load balancer, and closes "
                "connections that it has read to the end",
            ) from error
        self.most = min(_MOST, self.most + _MOST // 20)
        return batch.after

    def close(self) -> None:
        """Nothing to close."""

    def _stream(self, messages: list[bytes]) -> None:
        data = b"".join(b"%d %s" % (len(message), message) for message in messages)
        with socket.create_connection((self._host, self._port), self.patience) as plain:
            if not self._tls:
                carry(plain, data, held=self.held, patience=self.patience)
                return
            context = ssl.create_default_context()
            with context.wrap_socket(plain, server_hostname=self._host) as safe:
                carry(safe, data, held=self.held, patience=self.patience)

    def _datagrams(self, messages: list[bytes]) -> None:
        longest = max(map(len, messages))
        if longest > _LONGEST_DATAGRAM:
            raise SinkError(
                f"a message of {longest} bytes is too long for {self.to}",
                "use syslog:// or syslog+tls://",
            )
        family, kind, _, _, address = socket.getaddrinfo(
            self._host, self._port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind) as sender:
            sender.connect(address)  # so that a host that refuses is heard of
            for message in messages:
                sender.send(message)


def _message(item: Item, ledger: str) -> bytes:
    priority = 8 * _FACILITY + _SEVERITIES[item.level]
    told = moment(item.entry.time)
    time = told.isoformat(timespec="milliseconds") if told else "-"
    kind: Literal["request", "event"] = item.entry.kind
    header = f"<{priority}>1 {time} {socket.gethostname()[:255]} safegen {os.getpid()} {kind} -"
    return f"{header} {rendered(item, ledger)}".encode("ascii", "replace")
