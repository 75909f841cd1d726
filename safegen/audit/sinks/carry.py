"""Bytes over one connection to a receiver that acknowledges nothing.

TCP and TLS do not tell what a program has read. What they do tell must all hold before the bytes
count as taken: the other system acknowledged each of them, the connection was not ended there
while it was held open here, and it was ended there, without a reset, after it was ended here.
"""

import socket
import ssl
import sys
import time

_PIECE = 16_384  # what one record of TLS holds
_LOOK = 0.01  # seconds between looks at what does not wake us


def carry(connection: socket.socket, data: bytes, *, held: float, patience: float) -> None:
    """Send everything, end the connection, and wait until the other side has ended it too.

    Args:
        connection: new, plain or of TLS; not usable any more afterwards.
        data: what to send.
        held: seconds for which it stays open at least, so that a proxy that finds nobody to pass
            the bytes on to has the time to end it first.
        patience: seconds without any progress after which it fails; a receiver that is slow, but
            takes bytes, may take as long as it likes.

    Raises:
        OSError: the other side ended the connection first, or makes no progress.
    """
    earliest = time.monotonic() + held
    rest = memoryview(data)
    left, since = (-1, -1), 0.0
    while any(left) or time.monotonic() < earliest:
        if _ended(connection, 0 if rest else _LOOK):
            raise ConnectionError("it ended the connection first, and may not have read all")
        rest = rest[_sent(connection, rest[:_PIECE]) :]
        before, left = left, (len(rest), _unacknowledged(connection))
        if left != before:
            since = time.monotonic()
        elif any(left) and time.monotonic() > since + patience:
            raise TimeoutError(f"it took nothing for {patience:g} seconds")
    latest = time.monotonic() + patience
    if not isinstance(connection, ssl.SSLSocket):
        connection.shutdown(socket.SHUT_WR)
    while not _ended_after_us(connection):
        if time.monotonic() > latest:
            raise TimeoutError(f"it did not end the connection in {patience:g} seconds")
    if _unacknowledged(connection):
        raise ConnectionError("it ended the connection first, and may not have read all")


def _sent(connection: socket.socket, piece: memoryview) -> int:
    """How much of it could be sent within a moment."""
    if not piece:
        return 0
    connection.settimeout(_LOOK)
    try:
        return connection.send(piece)
    except TimeoutError:
        return 0


def _ended(connection: socket.socket, wait: float) -> bool:
    """Whether the other side has ended the connection, or does within so many seconds."""
    connection.settimeout(wait)
    try:
        return not connection.recv(4096)  # nothing that a receiver may say means anything
    except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
        return False


def _ended_after_us(connection: socket.socket) -> bool:
    """Whether the other side has ended the connection, once it was ended here."""
    if not isinstance(connection, ssl.SSLSocket):
        return _ended(connection, _LOOK)
    connection.settimeout(_LOOK)
    try:
        connection.unwrap()
    except TimeoutError:
        return False
    except ssl.SSLEOFError:  # some, like rsyslog with GnuTLS, end TCP without ending TLS
        return True
    return True


def _unacknowledged(connection: socket.socket) -> int:
    """Bytes that the other system has not acknowledged; only Linux tells."""
    if sys.platform != "linux":
        return 0
    from fcntl import ioctl
    from termios import TIOCOUTQ

    return int.from_bytes(ioctl(connection, TIOCOUTQ, bytes(4)), sys.byteorder)
