"""Syslog: RFC 5424 messages to real receivers on this machine."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ledgers import BARE, FULL, event, ledger, record
from servers import certificate

from safegen.audit.sinks import Shipper, sink_at, statuses
from safegen.audit.sinks.syslog import Syslog
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


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are held no longer than needed, but in tests of what ends them meanwhile."""
    monkeypatch.setattr(Syslog, "held", 0.01)


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A receiver's side of TLS, which Syslog trusts."""
    certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem", tmp_path / "tls.key")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))
    return context


@contextmanager
def serving(handle: Callable[[socket.socket], None], buffer: int | None = None) -> Iterator[int]:
    """The port of a server that handles one connection after the other, and then closes it."""

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(OSError):  # a sender that has gone
                handle(connection)

    with socket.socket() as server:
        if buffer is not None:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        server.bind(("127.0.0.1", 0))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@contextmanager
def receiver(
    reads: int | None = None, tls: ssl.SSLContext | None = None, *, tells: bool = True
) -> Iterator[tuple[int, list[bytes]]]:
    """A receiver that reads each connection to its end, or only so many bytes of it.

    Over TLS it tells of its end, or just ends TCP.
    """
    got: list[bytes] = []

    def take(connection: socket.socket) -> None:
        data = b""
        while part := connection.recv(4096 if reads is None else reads):
            data += part
            if reads is not None:
                break
        got.append(data)

    def handle(connection: socket.socket) -> None:
        if tls is None:
            take(connection)
            return
        with tls.wrap_socket(connection, server_side=True) as safe:
            take(safe)
            if tells:
                safe.unwrap()

    with serving(handle) as port:
        yield port, got


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


def gives_up(connection: socket.socket) -> None:
    """Read what is there, end the connection, and wait for the sender to do so too."""
    connection.settimeout(0.3)  # a balancer that looks for somebody to pass it on to
    with suppress(TimeoutError):
        while connection.recv(4096):
            pass
    connection.settimeout(None)
    if isinstance(connection, ssl.SSLSocket):
        connection.unwrap()
    else:
        connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass


@pytest.mark.parametrize("scheme", ["syslog", "syslog+tls"])
@pytest.mark.parametrize("lines", [1, 100])
def test_a_load_balancer_without_a_receiver(
    tmp_path: Path, trusted: ssl.SSLContext, scheme: str, lines: int
) -> None:
    """It takes all, and gives up in good order after a while: nothing counts as delivered."""

    def handle(connection: socket.socket) -> None:
        if scheme == "syslog":
            gives_up(connection)
        else:
            with trusted.wrap_socket(connection, server_side=True) as safe:
                gives_up(safe)

    folder = ledger(tmp_path / "ledger", *map(record, range(lines)))
    with serving(handle) as port:
        sink = Syslog(f"{scheme}://127.0.0.1:{port}")
        sink.held = 60.0
        with pytest.raises(SinkError, match="ended the connection first"):
            Shipper(folder, sink).once()

    [status] = statuses(folder)
    assert (status.delivered, status.behind) == (0, lines)


def test_a_receiver_that_ends_without_reading(tmp_path: Path) -> None:
    """Its system took all of it, but it was the first to end the connection."""

    def handle(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        busy.append(connection.dup())

    busy: list[socket.socket] = []
    folder = ledger(tmp_path, record(0))
    with serving(handle) as port:
        sink = Syslog(f"syslog://127.0.0.1:{port}")
        sink.held = 60.0
        with pytest.raises(SinkError, match="ended the connection first"):
            Shipper(folder, sink).once()
    busy[0].close()


def test_a_receiver_that_ends_tcp_but_not_tls(tmp_path: Path, trusted: ssl.SSLContext) -> None:
    """As rsyslog with GnuTLS does; what it read to the end is delivered, and only once."""
    folder = ledger(tmp_path / "ledger", *map(record, range(3)))
    with receiver(tls=trusted, tells=False) as (port, got):
        found = Shipper(folder, sink_at(f"syslog+tls://127.0.0.1:{port}")).once()

    assert found.delivered == 3
    assert len(unframed(b"".join(got))) == 3


@pytest.mark.parametrize("tells", [True, False])
def test_a_receiver_that_ends_tls_without_reading(
    tmp_path: Path, trusted: ssl.SSLContext, tells: bool
) -> None:
    """However it ends TLS, what it left unread was not delivered."""
    folder = ledger(tmp_path / "ledger", *map(record, range(100)))
    with receiver(reads=10, tls=trusted, tells=tells) as (port, _):
        with pytest.raises(SinkError, match="takes no messages"):
            Shipper(folder, sink_at(f"syslog+tls://127.0.0.1:{port}")).once()


@pytest.mark.parametrize("scheme", ["syslog", "syslog+tls"])
def test_a_slow_receiver(tmp_path: Path, trusted: ssl.SSLContext, scheme: str) -> None:
    """It is waited for as long as it takes bytes, and gets each line once."""
    got: list[bytes] = []

    def take(connection: socket.socket) -> None:
        data = b""
        while part := connection.recv(1024):
            data += part
            time.sleep(0.02)
        got.append(data)

    def handle(connection: socket.socket) -> None:
        if scheme == "syslog":
            take(connection)
            return
        with trusted.wrap_socket(connection, server_side=True) as safe:
            take(safe)
            safe.unwrap()

    folder = ledger(tmp_path / "ledger", *map(record, range(200)))
    with serving(handle, buffer=4096) as port:
        sink = Syslog(f"{scheme}://127.0.0.1:{port}")
        sink.patience = 1.0  # less than it needs
        found = Shipper(folder, sink).once()

    assert found.delivered == 200
    assert len(unframed(b"".join(got))) == 200


def test_a_receiver_that_takes_nothing(tmp_path: Path) -> None:
    """It is an error once the patience is at its end."""

    def handle(connection: socket.socket) -> None:
        busy.append(connection.dup())

    busy: list[socket.socket] = []
    folder = ledger(tmp_path, *map(record, range(100)))
    with serving(handle, buffer=4096) as port:
        sink = Syslog(f"syslog://127.0.0.1:{port}")
        sink.patience = 0.2
        with pytest.raises(SinkError, match=r"took nothing for 0\.2 seconds"):
            Shipper(folder, sink).once()
    busy[0].close()


def test_a_receiver_to_which_a_batch_is_too_much(tmp_path: Path) -> None:
    """One that does not get to the end of it in time is offered half of it."""

    def handle(connection: socket.socket) -> None:
        data = b""
        while part := connection.recv(65_536):
            data += part
        got.append(len(unframed(data)))
        if got[-1] > 10:
            busy.append(connection.dup())

    got: list[int] = []
    busy: list[socket.socket] = []
    folder = ledger(tmp_path, *map(record, range(12)))
    with serving(handle) as port:
        sink = Syslog(f"syslog://127.0.0.1:{port}")
        sink.patience = 1.0
        shipper = Shipper(folder, sink)
        with pytest.raises(SinkError, match="did not end the connection in 1 seconds"):
            shipper.once()
        shipper.once()
    busy[0].close()

    assert got == [12, 6, 6]


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
