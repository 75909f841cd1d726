"""One POST within its time, against servers that drip, hang, and answer too much."""

import gc
import gzip
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from programs import printed
from sockets import OK, PATIENCE, Peer, raw_server

from safegen.wire import MOST, BadAnswerError, NoAnswerError, Wire

HEAD = b"HTTP/1.1 200 OK\r\n"


def wire(url: str, **headers: str) -> Wire:
    """A wire to an address."""
    return Wire(httpx.URL(url), headers)


def silent(peer: Peer) -> None:
    """Take the connection, and say nothing."""


def slow_head(peer: Peer) -> None:
    """One header after the other, byte by byte."""
    peer.request()
    peer.send(HEAD)
    peer.drip(b"A: b\r\n")


def slow_hints(peer: Peer) -> None:
    """Early hints without end: whole answers, none of them the last."""
    peer.request()
    peer.drip(b"HTTP/1.1 103 Early Hints\r\n\r\n")


def slow_body(peer: Peer) -> None:
    """A body that never stops coming."""
    peer.request()
    peer.send(HEAD + b"Content-Length: 100000\r\n\r\n")
    peer.drip(b" ")


def slow_chunks(peer: Peer) -> None:
    """Chunks of one byte."""
    peer.request()
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"1\r\n \r\n")


def slow_handshake(peer: Peer) -> None:
    """A record of TLS that is never whole."""
    peer.send(b"\x16\x03\x03\x40\x00")
    peer.drip(b"\x00")


@pytest.mark.parametrize(
    ("scheme", "serve"),
    [
        ("http", silent),
        ("https", silent),
        ("https", slow_handshake),
        ("http", slow_head),
        ("http", slow_hints),
        ("http", slow_body),
        ("http", slow_chunks),
    ],
)
def test_time_is_over_whatever_drips(scheme: str, serve: Callable[[Peer], None]) -> None:
    """Each ends while the server still drips, and the connection is closed, not forgotten."""
    with raw_server(serve) as server:
        asking = wire(f"{scheme}://127.0.0.1:{server.port}/")
        with pytest.raises(NoAnswerError, match=r"too slow: no whole answer within 0\.3 s"):
            asking.post(b"{}", 0.3)
        assert server.left.acquire(timeout=PATIENCE / 2)


def test_a_server_that_does_not_read() -> None:
    """What is to be sent and never taken ends at its time too."""
    with raw_server(Peer.ignore) as server:
        with pytest.raises(NoAnswerError, match="too slow"):
            wire(server.url).post(b"x" * 50_000_000, 0.5)


def test_a_connection_that_is_never_made() -> None:
    """A full queue of connections: the system would knock for minutes."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        where = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(where)
        with pytest.raises(NoAnswerError, match="too slow"):
            wire(f"http://127.0.0.1:{where[1]}/").post(b"{}", 0.3)
        for each in waiting:
            each.close()


def test_a_name_that_is_looked_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that does not answer, which no timeout of a socket covers."""
    release = threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        release.wait(PATIENCE)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(NoAnswerError, match="too slow"):
        wire("http://moderation.invalid/").post(b"{}", 0.3)
    assert not release.is_set()
    release.set()


def test_threads_ask_at_the_same_time() -> None:
    """No request of sixteen is answered before all of them are there."""
    together = threading.Barrier(16)

    def serve(peer: Peer) -> None:
        peer.request()
        together.wait(PATIENCE)
        peer.send(OK)

    with raw_server(serve) as server, ThreadPoolExecutor(16) as pool:
        bodies = pool.map(wire(server.url).post, [b"{}"] * 16, [PATIENCE] * 16)
        assert [answer.body for answer in bodies] == [b"{}"] * 16
        del bodies


def test_no_thread_is_left_behind() -> None:
    """Requests that ran out of time leave one thread for all of the process, however many."""
    with raw_server(slow_head) as server:
        asking = wire(server.url)
        before = set(threading.enumerate())
        for _ in range(5):
            with pytest.raises(NoAnswerError):
                asking.post(b"{}", 0.1)
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("safegen-http") == 1
        new = {thread.name for thread in set(threading.enumerate()) - before}
        assert new <= {"safegen-http", "server"} | _look_ups(new)
        for _ in range(5):
            assert server.left.acquire(timeout=PATIENCE / 2)


def _look_ups(names: set[str]) -> set[str]:
    """Threads of name look-ups, which the loop keeps for the next ones."""
    return {name for name in names if name.startswith("asyncio_")}


def answering(peer: Peer) -> None:
    """Answer each request of a connection until the client closes it."""
    while peer.request():
        peer.send(OK)


def test_connections_are_kept_and_closed_with_the_wire() -> None:
    """Requests share a connection, which goes when nobody can ask any more."""
    with raw_server(answering) as server:
        asking = wire(server.url)
        assert [asking.post(b"{}", PATIENCE).status for _ in range(3)] == [200] * 3
        assert server.peers == 1
        assert not server.left.acquire(blocking=False)
        del asking
        gc.collect()
        assert server.left.acquire(timeout=PATIENCE / 2)


def test_what_is_sent() -> None:
    """The headers, the body, the path with its query, and the wish for plain bytes."""
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(OK)

    with raw_server(serve) as server:
        wire(f"{server.url}m?key=abc", **{"X-Mine": "yes"}).post(b"body", PATIENCE)
    assert seen[0].startswith(b"POST /m?key=abc HTTP/1.1\r\n")
    assert seen[0].endswith(b"\r\n\r\nbody")
    assert b"X-Mine: yes\r\n" in seen[0]
    assert b"Accept-Encoding: identity\r\n" in seen[0]


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        (b"Content-Encoding: gzip\r\n", gzip.compress(b"{}", mtime=0), "compressed"),
        (b"Content-Encoding: br\r\n", b"{}", "compressed"),
        (b"", b" " * (MOST + 1), "too long"),
    ],
)
def test_answers_that_are_not_read(headers: bytes, body: bytes, told: str) -> None:
    """A few bytes may unpack to gigabytes; long ones are left where the limit is."""

    def serve(peer: Peer) -> None:
        peer.request()
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        peer.send(HEAD + headers + length + body)

    with raw_server(serve) as server:
        with pytest.raises(BadAnswerError, match=told):
            wire(server.url).post(b"{}", PATIENCE)
        assert server.left.acquire(timeout=PATIENCE / 2)


def test_the_longest_answer_is_read() -> None:
    """An answer of just the limit, in chunks, is whole."""

    def serve(peer: Peer) -> None:
        peer.request()
        head = HEAD + b"Content-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n"
        peer.send(head + f"{MOST:x}\r\n".encode() + b" " * MOST + b"\r\n0\r\n\r\n")

    with raw_server(serve) as server:
        assert len(wire(server.url).post(b"{}", PATIENCE).body) == MOST


def test_only_good_answers_are_read() -> None:
    """Of others status and Retry-After are enough; a body that drips keeps nobody."""

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 99999\r\n\r\n")
        peer.drip(b" ")

    with raw_server(serve) as server:
        answer = wire(server.url).post(b"{}", PATIENCE)
        assert (answer.status, answer.retry_after, answer.body) == (503, "7", b"")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"", b"why"),
        (b"Content-Encoding: gzip\r\n", b""),
        (b"Content-Length: 9000000\r\n", b""),
    ],
)
def test_a_refusal_is_read_where_that_is_wanted(head: bytes, body: bytes) -> None:
    """Within the same bounds; what is beyond them is left, and the status stays."""

    def serve(peer: Peer) -> None:
        assert b"X-Now: yes\r\n" in peer.request()
        length = b"" if b"Length" in head else b"Content-Length: 3\r\n"
        peer.send(b"HTTP/1.1 400 Out of paper\r\n" + head + length + b"\r\n")
        peer.send(b"why" if length else b" " * 9_000_000)

    with raw_server(serve) as server:
        asking = Wire(httpx.URL(server.url), refusals=True)
        answer = asking.post(b"{}", PATIENCE, {"X-Now": "yes"})
        assert (answer.status, answer.reason, answer.body) == (400, "Out of paper", body)
        del asking


def test_the_system_says_why_there_is_no_connection() -> None:
    """In its own words, which repeat nothing of the address."""
    with pytest.raises(NoAnswerError, match="ConnectionRefusedError: connection refused") as error:
        wire("http://127.0.0.1:1/?key=abc").post(b"{}", PATIENCE)
    assert "abc" not in str(error.value)


@pytest.mark.parametrize("garbage", [b"", b"SSH-2.0\r\n\r\n", HEAD + b"a" * 200_000])
def test_no_http_at_all(garbage: bytes) -> None:
    """The error gives the types of what went wrong."""

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(garbage)
        peer.end()

    with raw_server(serve) as server:
        with pytest.raises(NoAnswerError, match="RemoteProtocolError"):
            wire(server.url).post(b"{}", PATIENCE)


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other programs read is followed, and so is what it leaves out."""
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request().split(b"\r\n")[0])
        peer.send(OK)

    with raw_server(serve) as server:
        for name in ("http_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{server.port}")
        wire("http://moderation.invalid/m?key=abc").post(b"{}", PATIENCE)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        wire(server.url).post(b"{}", PATIENCE)
    assert seen == [
        b"POST http://moderation.invalid/m?key=abc HTTP/1.1",
        b"POST / HTTP/1.1",
    ]


def test_a_fork_asks_for_itself() -> None:
    """A server's workers are forks of a process that may have asked before; threads stay there."""
    program = """
import os, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import httpx
from safegen.wire import Wire

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
wire = Wire(httpx.URL(f"http://127.0.0.1:{server.server_port}/"), {})
print(wire.post(b"{}", 20).status, flush=True)
child = os.fork()
if not child:
    print(wire.post(b"{}", 20).status, flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), wire.post(b"{}", 20).status)
"""
    assert printed(program).split() == ["200", "200", "0", "200"]
