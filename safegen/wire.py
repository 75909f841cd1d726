"""One POST over HTTP that ends when its time is over, whatever the server does.

The timeouts of sockets are of silence: a server that drips its handshake, its headers or its body
keeps a thread for as long as it likes, and the look-up of a name has none at all. So requests are
tasks of an event loop, in one thread for all of the process; who asks waits for as long as it
may and then cancels the task, which closes the connection. No thread is ever left behind.

Nothing that is raised here, or logged by httpx, repeats the path, the headers or what was sent.
"""

import asyncio
import os
import socket
import ssl
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import wait
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    import httpx

MOST = 1_000_000  # bytes of an answer

_NONE: Mapping[str, str] = MappingProxyType({})
_starting = threading.Lock()
# By process: a fork has none of its parent's threads. A parent's loop is kept there and unused,
# since to take it apart would close what belongs to the parent.
_loops: dict[int, asyncio.AbstractEventLoop] = {}


class NoAnswerError(Exception):
    """The service did not answer, and may if it is asked again, `after` so many seconds."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class BadAnswerError(Exception):
    """The service answered with something that is not read."""


@dataclass(frozen=True)
class Answer:
    """What came; names of headers are found in any case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> str:
        """When the service wants to be asked again; empty: it does not say."""
        return self.headers.get("Retry-After", "")


class Wire:
    """Posts to one address, from any thread.

    Raises:
        Exception: the proxy or the certificates cannot be used.
    """

    def __init__(
        self,
        url: "httpx.URL",
        headers: Mapping[str, str] = _NONE,
        *,
        verify: ssl.SSLContext | bool = True,
        proxy: str | None = None,
        refusals: bool = False,
    ) -> None:
        """Open no connection yet.

        Args:
            url: where to post.
            headers: sent each time.
            verify: the certificates of both sides; True: those that the environment trusts.
            proxy: an address; empty: none; None: the one that the environment names.
            refusals: read the body whatever the status, not of 200 alone.
        """
        self._url = url
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._verify = verify
        self._proxy = _proxy(url) if proxy is None else proxy
        self._refusals = refusals
        self._transports = {os.getpid(): self._transport()}
        closing = weakref.finalize(self, _close, self._transports)
        closing.atexit = False  # the system closes the sockets then

    def post(self, content: bytes, seconds: float, headers: Mapping[str, str] = _NONE) -> Answer:
        """The answer; `headers` are sent this time beside the others.

        Raises:
            NoAnswerError: none, or not all of it, came within so many seconds.
            BadAnswerError: it is too long, or compressed.
        """
        asked = asyncio.run_coroutine_threadsafe(self._exchange(content, headers), _loop())
        try:
            done, _ = wait([asked], seconds)
        finally:
            asked.cancel()  # does nothing to one that is done
        if not done:
            raise NoAnswerError(f"too slow: no whole answer within {seconds:.3g} s")
        answer = asked.result()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _exchange(
        self, content: bytes, headers: Mapping[str, str]
    ) -> Answer | NoAnswerError | BadAnswerError:
        import httpx

        opened: list[Any] = []

        async def note(event: str, told: Mapping[str, Any]) -> None:
            if event == "connection.connect_tcp.complete":
                opened.append(told["return_value"])

        # Without httpx.Client, which logs the address with its query at each request.
        request = httpx.Request(
            "POST",
            self._url,
            headers={**self._headers, **headers},
            content=content,
            extensions={"trace": note},
        )
        pid = os.getpid()
        try:
            if pid not in self._transports:
                self._transports[pid] = self._transport()
            response = await self._transports[pid].handle_async_request(request)
            try:
                return await _read(response, self._refusals)
            finally:
                await response.aclose()
        except asyncio.CancelledError:
            # httpcore loses a connection that is cancelled in the midst of its TLS handshake.
            for stream in opened:
                await stream.aclose()
            raise
        except Exception as error:  # noqa: BLE001 - any text may repeat the address or a header
            return NoAnswerError(_kinds(error))

    def _transport(self) -> "httpx.AsyncHTTPTransport":
        import httpx

        # As many connections as threads ask; a limit would make them wait for one another.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        return httpx.AsyncHTTPTransport(
            verify=self._verify, proxy=self._proxy or None, limits=limits
        )


async def _read(response: "httpx.Response", refusals: bool) -> Answer | BadAnswerError:
    head = Answer(response.status_code, response.reason_phrase, response.headers, b"")
    if head.status != 200 and not refusals:
        return head
    body = await _body(response)
    if isinstance(body, BadAnswerError):
        # What a refusal has to say beside its status may be left unread.
        return body if head.status < 300 else head
    return replace(head, body=body)


async def _body(response: "httpx.Response") -> bytes | BadAnswerError:
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in {"", "identity"}:
        # A few bytes may unpack to gigabytes, and it was asked for identity.
        return BadAnswerError("the answer is compressed, although identity was asked for")
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > MOST:
            return BadAnswerError(f"the answer is too long: expected at most {MOST} bytes")
    return bytes(body)


def _loop() -> asyncio.AbstractEventLoop:
    with _starting:
        pid = os.getpid()
        if pid not in _loops:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="safegen-http", daemon=True).start()
            _loops[pid] = loop
        return _loops[pid]


def _proxy(url: "httpx.URL") -> str | None:
    """The proxy that the environment names for the address, as other programs take it."""
    named = getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    if not proxy or proxy_bypass(url.netloc.decode("ascii")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _close(transports: Mapping[int, "httpx.AsyncHTTPTransport"]) -> None:
    # The loop, if anything was asked; this may run in any thread, the loop's own included.
    pid = os.getpid()
    if pid in _loops and pid in transports:
        asyncio.run_coroutine_threadsafe(transports[pid].aclose(), _loops[pid])


def _kinds(error: BaseException) -> str:
    """The names of an error's type and of those of its causes, and of texts the system's alone."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < 8:
        names.append(f"{type(cause).__name__}{_of_system(cause)}")
        cause = cause.__cause__ or cause.__context__
    return ", ".join(dict.fromkeys(names))


def _of_system(error: BaseException) -> str:
    """What is wrong with a connection or a certificate, in fixed words that repeat nothing."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f": {error.verify_message}"
    # These two number their errors in ways of their own.
    if not isinstance(error, OSError) or isinstance(error, ssl.SSLError | socket.gaierror):
        return ""
    return f": {os.strerror(error.errno).lower()}" if error.errno else ""
