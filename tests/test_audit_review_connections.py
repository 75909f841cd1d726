"""What strangers hold open, at a server that runs: it ends, and others are served meanwhile."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

import httpx
import pytest
import uvicorn

from safegen.audit.review import connections
from safegen.audit.review.app import create_app
from safegen.audit.review.connections import Impatient, Listening
from safegen.audit.review.site import Site

PATIENCE = 20.0
HEAD = b"Host: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"


class Served(NamedTuple):
    """A server, and where it is."""

    server: uvicorn.Server
    where: tuple[str, int]


@contextmanager
def serving(site: Site, most_each: int = 100) -> Iterator[Served]:
    """The site as `safegen audit serve` serves it."""
    listening = Listening(socket.create_server(("127.0.0.1", 0)), most_each)
    config = uvicorn.Config(
        create_app(site, ["*"]), http=Impatient, loop="asyncio", log_level="warning"
    )
    with listening:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield Served(server, listening.getsockname())
        finally:
            server.should_exit = True
            thread.join()


def connected(where: tuple[str, int], said: bytes = b"") -> socket.socket:
    """A connection on which this was said."""
    made = socket.create_connection(where, PATIENCE)
    with suppress(ConnectionError):  # it may be ended already
        made.sendall(said)
    return made


def ended(connection: socket.socket) -> bool:
    """Whether the server ends it; what it says before does not matter."""
    with suppress(ConnectionResetError):
        while connection.recv(65536):
            pass
    return True


def status(where: tuple[str, int]) -> int:
    """That of the sign-in, asked for on a connection of its own."""
    return httpx.get(f"http://127.0.0.1:{where[1]}/sign-in", timeout=PATIENCE).status_code


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /sign-in HTTP/1.1\r\nHost: 127",
        b"POST /sign-in HTTP/1.1\r\n" + HEAD + b"Content-Length: 99\r\n\r\nname=",
        b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /sign-in HTTP/1.1\r\n",
    ],
    ids=["nothing", "half a head", "half a form", "half of a second one"],
)
def test_who_does_not_ask_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """A request that is never whole ends with its connection."""
    monkeypatch.setattr(connections, "_SECONDS", 0.5)
    with serving(site) as served, connected(served.where, said) as slow:
        assert ended(slow)


def test_who_waits_for_an_answer_is_left_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer may take longer than a request may."""
    asked, go_on = threading.Event(), threading.Event()
    take = site.failures.take

    def slowly(keys: dict[object, int]) -> int:
        asked.set()
        go_on.wait(PATIENCE)
        return take(keys)

    monkeypatch.setattr(site.failures, "take", slowly)
    form = b"POST /sign-in HTTP/1.1\r\n" + HEAD + b"Content-Length: 0\r\n\r\n"
    with serving(site) as (server, where), connected(where, form) as patient:
        assert asked.wait(PATIENCE)
        [connection] = server.server_state.connections
        assert isinstance(connection, Impatient)
        connection.loop.call_soon_threadsafe(connection._end)
        go_on.set()
        assert patient.recv(12) == b"HTTP/1.1 403"


def test_one_address_has_so_many_connections(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is closed at once; when others have gone there is room again."""
    monkeypatch.setattr(connections, "_SECONDS", 600)
    with serving(site, most_each=3) as (_, where), ExitStack() as stack:
        first, *_ = [stack.enter_context(connected(where)) for _ in range(3)]
        with connected(where) as more:
            assert ended(more)
        first.sendall(b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert ended(first)
        assert status(where) == 200


def test_all_together_have_so_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """From whatever addresses they come."""
    monkeypatch.setattr(connections, "_SECONDS", 600)
    monkeypatch.setattr(connections, "MOST", 3)
    with serving(site) as (_, where), ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(where))
        with connected(where) as more:
            assert ended(more)


def test_what_is_too_long_is_refused_by_its_head(site: Site) -> None:
    """The answer comes before anything else has to be sent, so nothing of it is kept."""
    with serving(site) as (_, where):
        head = b"POST /sign-in HTTP/1.1\r\n" + HEAD + b"Content-Length: 800000000\r\n\r\n"
        with connected(where, head) as sending:
            assert sending.recv(12) == b"HTTP/1.1 413"
