"""One POST over HTTP that ends when its time is over, whatever the server does.

The timeouts of sockets are of silence: a server that drips its handshake, its headers or its body
keeps a thread for as long as it likes, and the look-up of a name has none at all. So requests are
tasks of an event loop, in one thread for all of the process; who asks waits for as long as it
may and then cancels the task, which closes the connection. No thread is ever left behind.

Nothing that is raised here, or logged by httpx, repeats the address, the headers or what was sent.
"""

import asyncio
import os
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    import httpx

MOST = 1_000_000  # bytes of an answer

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
    """What came: the body is read where the status is 200."""

    status: int
    retry_after: str
    body: bytes


class Wire:
    """Posts to one address, from any thread.

    Raises:
        Exception: the environment's proxy or certificates cannot be used.
    """

    def __init__(self, url: "httpx.URL", headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._transports = {os.getpid(): _transport(url)}
        closing = weakref.finalize(self, _close, self._transports)
        closing.atexit = False  # the system closes the sockets then

    def post(self, content: bytes, seconds: float) -> Answer:
        """The answer.

        Raises:
            NoAnswerError: none, or not all of it, came within so many seconds.
            BadAnswerError: it is too long, or compressed.
        """
        asked = asyncio.run_coroutine_threadsafe(self._exchange(content), _loop())
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

    async def _exchange(self, content: bytes) -> Answer | NoAnswerError | BadAnswerError:
        import httpx

        opened: list[Any] = []

        async def note(event: str, told: Mapping[str, Any]) -> None:
            if event == "connection.connect_tcp.complete":
                opened.append(told["return_value"])

        # Without httpx.Client, which logs the address with its query at each request.
        request = httpx.Request(
            "POST", self._url, headers=self._headers, content=content, extensions={"trace": note}
        )
        pid = os.getpid()
        try:
            if pid not in self._transports:
                self._transports[pid] = _transport(self._url)
            response = await self._transports[pid].handle_async_request(request)
            try:
                return await _read(response)
            finally:
                await response.aclose()
        except asyncio.CancelledError:
            # httpcore loses a connection that is cancelled in the midst of its TLS handshake.
            for stream in opened:
                await stream.aclose()
            raise
        except Exception as error:  # noqa: BLE001 - any text may repeat the address or a header
            return NoAnswerError(_kinds(error))


async def _read(response: "httpx.Response") -> Answer | BadAnswerError:
    answer = Answer(response.status_code, response.headers.get("Retry-After", ""), b"")
    if answer.status != 200:
        return answer
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in {"", "identity"}:
        # A few bytes may unpack to gigabytes, and it was asked for identity.
        return BadAnswerError("the answer is compressed, although identity was asked for")
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > MOST:
            return BadAnswerError(f"the answer is too long: expected at most {MOST} bytes")
    return Answer(answer.status, answer.retry_after, bytes(body))


def _loop() -> asyncio.AbstractEventLoop:
    with _starting:
        pid = os.getpid()
        if pid not in _loops:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="safegen-http", daemon=True).start()
            _loops[pid] = loop
        return _loops[pid]


def _transport(url: "httpx.URL") -> "httpx.AsyncHTTPTransport":
    import httpx

    # As many connections as threads ask; a limit would make them wait for one another.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx.AsyncHTTPTransport(proxy=_proxy(url), limits=limits)


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
    """The names of an error's type and of those of its causes, never their texts."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < 8:
        names.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return ", ".join(dict.fromkeys(names))
