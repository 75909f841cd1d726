"""A server of raw bytes on 127.0.0.1: what it does with each connection is the test's to say.

All that it does is bounded: by `PATIENCE` seconds, or by the end of the test.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PATIENCE = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Peer:
    """One connection of a client."""

    def __init__(self, connection: socket.socket, stop: threading.Event) -> None:
        connection.settimeout(PATIENCE)
        self._connection = connection
        self._stop = stop

    def request(self) -> bytes:
        """A whole request with a Content-Length; empty where the client has closed."""
        got = b""
        while b"\r\n\r\n" not in got:
            part = self._connection.recv(65536)
            if not part:
                return b""
            got += part
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += self._connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def send(self, content: bytes) -> None:
        """All of it."""
        self._connection.sendall(content)

    def drip(self, content: bytes) -> None:
        """One byte each hundredth of a second, over and over, for as long as the client stays."""
        for number in range(int(PATIENCE * 100)):
            if self._stop.wait(0.01):
                return
            self.send(content[number % len(content) :][:1])

    def ignore(self) -> None:
        """Read nothing until the test is over."""
        self._stop.wait(PATIENCE)

    def end(self) -> None:
        """Say that nothing more comes."""
        self._connection.shutdown(socket.SHUT_WR)

    def left(self) -> bool:
        """Whether the client closes the connection."""
        with suppress(ConnectionError):
            while self._connection.recv(65536):
                pass
        return True


class Raw:
    """A running server; `peers` counts connections, `left` those that the client closed."""

    def __init__(self, serve: Callable[[Peer], None]) -> None:
        self._serve = serve
        self._stop = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.peers = 0
        self.left = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._accept, name="server")]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            if self._stop.is_set():
                connection.close()
                return
            self.peers += 1
            thread = threading.Thread(target=self._run, args=(connection,), name="server")
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        peer = Peer(connection, self._stop)
        with connection:
            with suppress(ConnectionError):
                self._serve(peer)
            if peer.left():
                self.left.release()

    def stop(self) -> None:
        """Take no more, and wait until all threads are through."""
        self._stop.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join(PATIENCE + 5)
            assert not thread.is_alive(), "a connection was never closed"
        self._listening.close()


@contextmanager
def raw_server(serve: Callable[[Peer], None]) -> Iterator[Raw]:
    """Such a server, which does this with each connection and waits until the client leaves."""
    running = Raw(serve)
    try:
        yield running
    finally:
        running.stop()
