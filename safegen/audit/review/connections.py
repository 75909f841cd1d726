"""What strangers may hold open: so many connections each, and none on which nothing is asked.

uvicorn ends connections that are idle between two requests, and no others: one that never asks, or
never ends what it asks, stays for ever, and a thousand of them leave the process no file to open.
"""

import asyncio
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 400  # connections at a time; a process may as a rule have 1,024 files open
MOST_EACH = 100  # of them from one address: an office may have but one
_SECONDS = 20.0  # for a whole request, from the connection or from the answer before


class Listening(socket.socket):
    """A listening socket that closes at once what comes beyond the limits.

    It counts connections in TLS's handshake too, of which no protocol knows yet; asyncio ends those
    after a minute.
    """

    def __init__(self, listening: socket.socket, most_each: int = MOST_EACH) -> None:
        """Take the place of a listening socket.

        Args:
            listening: is not to be used any more.
            most_each: connections at a time from one address.
        """
        super().__init__(fileno=listening.detach())
        self._most_each = most_each
        self._open: list[tuple[socket.socket, str]] = []  # accepted, and from which address

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection, as of any socket.

        Raises:
            ConnectionAbortedError: it is one too many, and closed; asyncio goes on to the next.
        """
        taken, where = super().accept()
        self._open = [each for each in self._open if each[0].fileno() >= 0]
        same = sum(address == where[0] for _, address in self._open)
        if len(self._open) >= MOST or same >= self._most_each:
            taken.close()
            raise ConnectionAbortedError
        self._open.append((taken, where[0]))
        return taken, where


class Impatient(H11Protocol):
    """HTTP on a connection that ends where no whole request comes in time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for."""
        super().connection_lost(exc)
        if self._late is not None:
            self._late.cancel()

    def _wait(self) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = self.loop.call_later(_SECONDS, self._end)

    def _end(self) -> None:
        # A request that came whole may take as long to answer as it needs.
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self.transport.abort()
