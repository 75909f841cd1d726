"""Syslog: RFC 5424 messages to real receivers on this machine."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ledgers import BARE, FULL, event, ledger, record
from servers import certificate

from safegen.audit.sinks import Shipper, sink_at
from safegen.errors import InputError, SinkError
from safegen.nouns import Context

_HEADER = re.compile(
    rb"<(\d+)>1 (2026-\S+Z?|-) \S+ safegen \d+ (request|event) - (\{.*\})", re.DOTALL
)


def parsed(message: bytes) -> tuple[int, dict[str, object]]:
    """Priority and JSON of a message."""
    match = _HEADER.fullmatch(message)
    assert match, message
    return int(match[1]), json.loads(match[4])


def unframed(data: bytes) -> list[bytes]:
    """The messages of a stream, each of which has its length before it."""
    messages = []
    while data:
        length, _, data = data.partition(b" ")
        messages.append(data[: int(length)])
        data = data[int(length) :]
    return messages


@contextmanager
def receiver(
    reads: int | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """A TCP receiver that reads each connection to its end, or only so many bytes of it."""
    got: list[bytes] = []

    def take(connection: socket.socket) -> None:
        data = b""
        while part := connection.recv(4096 if reads is None else reads):
            data += part
            if reads is not None:
                break
        got.append(data)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(ssl.SSLError):  # a sender that does not trust us
                if tls is None:
                    take(connection)
                else:
                    with tls.wrap_socket(connection, server_side=True) as safe:
                        take(safe)
                        safe.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], got
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_messages_over_tcp(tmp_path: Path) -> None:
    """Framed by length, with a severity by outcome; newlines and long texts are no matter."""
    long = record(2).model_copy(update={"context": Context(tenant="\n\0" + "x" * 200_000)})
    folder = ledger(tmp_path, FULL, BARE, long, event(3, "upheld", FULL))
    with receiver() as (port, got):
        Shipper(folder, sink_at(f"syslog://127.0.0.1:{port}")).once()
    messages = [parsed(message) for message in unframed(b"".join(got))]

    assert [priority % 8 for priority, _ in messages] == [4, 3, 6, 6]
    assert {priority // 8 for priority, _ in messages} == {13}
    assert [line["seq"] for _, line in messages] == [0, 1, 2, 3]
    assert messages[2][1]["record"] == json.loads(long.model_dump_json())


def test_a_receiver_that_does_not_read_to_the_end(tmp_path: Path) -> None:
    """What it left unread was not delivered, though the system took it; it comes again."""
    folder = ledger(tmp_path, *map(record, range(100)))
    with receiver(reads=10) as (port, got):
        to = f"syslog://127.0.0.1:{port}"
        with pytest.raises(SinkError, match="takes no messages"):
            Shipper(folder, sink_at(to), state=tmp_path / "state").once()
    with receiver() as (port, got):
        Shipper(folder, sink_at(f"syslog://127.0.0.1:{port}"), state=tmp_path / "state").once()

    assert len(unframed(b"".join(got))) == 100


def test_messages_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only to a receiver whose certificate can be verified."""
    certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem", tmp_path / "tls.key")
    folder = ledger(tmp_path / "ledger", FULL)
    with receiver(tls=context) as (port, got):
        to = f"syslog+tls://127.0.0.1:{port}"
        with pytest.raises(SinkError, match="certificate verify failed"):
            Shipper(folder, sink_at(to)).once()
        assert got == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))
        Shipper(folder, sink_at(to)).once()

    [message] = unframed(b"".join(got))
    assert parsed(message)[1]["seq"] == 0


def test_messages_over_udp(tmp_path: Path) -> None:
    """One datagram for each; one that is too long is an error and not cut."""
    long = record(1).model_copy(update={"context": Context(tenant="x" * 70_000)})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        to = f"syslog+udp://127.0.0.1:{server.getsockname()[1]}"
        Shipper(ledger(tmp_path / "one", FULL), sink_at(to)).once()
        _, line = parsed(server.recv(65_536))
        with pytest.raises(SinkError, match="too long for syslog"):
            Shipper(ledger(tmp_path / "two", long), sink_at(to)).once()

    assert line["record"] == json.loads(FULL.model_dump_json())


def test_nobody_there(tmp_path: Path) -> None:
    """A receiver that does not listen is told by its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(SinkError, match=f"syslog://127.0.0.1:{port} takes no messages"):
        Shipper(ledger(tmp_path, record(0)), sink_at(f"syslog://127.0.0.1:{port}")).once()


@pytest.mark.parametrize("to", ["syslog://", "syslog://host:port", "syslog+smoke://host", "syslog"])
def test_addresses_that_are_none(to: str) -> None:
    """They are refused when they are given."""
    with pytest.raises(InputError, match="the syslog receiver has no host"):
        sink_at(to)
