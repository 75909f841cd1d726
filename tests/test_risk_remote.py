"""Moderation APIs over HTTP, asked on a real local server: answers, failures, bounds."""

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from safegen.errors import ClassifierError
from safegen.policy import Policy
from safegen.risk.cache import Cached
from safegen.risk.remote import RemoteClassifier, RemoteSettings

GOOD = {"results": [{"category_scores": {"violence": 0.75}}]}
Answer = tuple[int, bytes]


class Server:
    """A moderation API whose answers the test decides; `asked` holds what it was sent."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, Any], str]] = []
        self.times: list[float] = []
        self.headers: dict[str, str] = {}
        self.answer: Callable[[int], Answer] = lambda _: (200, json.dumps(GOOD).encode())
        self.drip = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((body, self.headers.get("Authorization", "")))
                outer.times.append(time.monotonic())
                status, content = outer.answer(len(outer.asked))
                self.send_response(status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for byte in content if outer.drip else ():
                        self.wfile.write(bytes([byte]))
                        time.sleep(0.05)
                    self.wfile.write(b"" if outer.drip else content)
                except OSError:
                    pass  # the client has given up, as it should

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/moderate"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server for one test."""
    running = Server()
    yield running
    running.stop()


def classifier(url: str, **settings: Any) -> RemoteClassifier:
    """A classifier that asks the server, patient for a second and without retries."""
    found = {"violence": "results.0.category_scores.violence"}
    defaults: dict[str, Any] = {"timeout": 1.0, "retries": 0, "scores": found}
    return RemoteClassifier("api", RemoteSettings(kind="http", url=url, **(defaults | settings)))


def test_scores_are_found_in_the_answer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt, what else the body holds and the token are sent; the score is looked up."""
    monkeypatch.setenv("MODERATION_TOKEN", "abc")
    api = classifier(server.url, body={"model": "m"}, token_env="MODERATION_TOKEN")  # noqa: S106

    assert [scores.values for scores in api(["a \ud800 fight"])] == [{"violence": 0.75}]
    assert server.asked == [({"model": "m", "input": "a \ud800 fight"}, "Bearer abc")]


def test_an_empty_prompt_is_not_sent(server: Server) -> None:
    """A policy can be loaded, which classifies the empty prompt, without asking anyone."""
    assert classifier(server.url)([""])[0].values == {"violence": 0.0}
    assert server.asked == []


def test_it_is_asked_again_when_it_may_recover(server: Server) -> None:
    """Status 500 and 429 are tried again, as often as allowed."""
    server.answer = lambda count: (
        {1: 500, 2: 429}.get(count, 200), json.dumps(GOOD).encode()
    )  # fmt: skip

    assert classifier(server.url, retries=2)(["a fight"])[0].values == {"violence": 0.75}
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, b""), "status 500"),
        ((401, b""), "refused the request with status 401"),
        ((302, b""), "refused the request with status 302"),
        ((200, b"<html>"), "no JSON"),
        ((200, b"{}"), "got None"),
        ((200, b'{"results": []}'), "got None"),
        ((200, json.dumps(GOOD).replace("0.75", "7.5").encode()), "got 7.5"),
        ((200, json.dumps(GOOD).replace("0.75", "NaN").encode()), "got nan"),
        ((200, json.dumps(GOOD).replace("0.75", "true").encode()), "got True"),
        ((200, json.dumps(GOOD).replace("0.75", '"a fight"').encode()), "got str\n"),
        ((200, b"[" + b"1," * 600_000 + b"1]"), "too long"),
    ],
)
def test_whatever_is_no_score_is_an_error(server: Server, answer: Answer, told: str) -> None:
    """No failure counts as harmless."""
    server.answer = lambda _: answer

    with pytest.raises(ClassifierError, match=told):
        classifier(server.url)(["a fight"])


def test_a_dripping_server_is_left(server: Server) -> None:
    """An answer that never stops coming, byte by byte, ends at the timeout."""
    server.drip = True

    with pytest.raises(ClassifierError, match="too slow"):
        classifier(server.url, timeout=0.2)(["a fight"])


def test_nobody_there() -> None:
    """A refused connection is an error that says how to go on."""
    with pytest.raises(ClassifierError, match="ConnectError") as error:
        classifier("http://127.0.0.1:9/moderate")(["a fight"])
    assert "no prompt passes" in (error.value.mend or "")


def test_the_breaker_opens_and_closes(server: Server) -> None:
    """After so many failures nothing is sent for a while; then one try decides."""
    server.answer = lambda count: (500 if count <= 2 else 200, json.dumps(GOOD).encode())
    api = classifier(server.url, breaker_failures=2, breaker_seconds=0.2)
    for _ in range(4):
        with pytest.raises(ClassifierError):
            api(["a fight"])
    assert len(server.asked) == 2

    time.sleep(0.3)
    assert api(["a fight"])[0].values == {"violence": 0.75}
    assert len(server.asked) == 3


def test_a_missing_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is not set is an error when the classifier is made."""
    monkeypatch.delenv("MODERATION_TOKEN", raising=False)

    with pytest.raises(ClassifierError, match="MODERATION_TOKEN"):
        classifier(server.url, token_env="MODERATION_TOKEN")  # noqa: S106


def down(api: RemoteClassifier, times: int, told: str) -> None:
    """So many prompts in a row end with this error."""
    for number in range(times):
        with pytest.raises(ClassifierError, match=told):
            api([f"prompt {number}"])


def test_prompts_are_asked_at_the_same_time(server: Server) -> None:
    """No prompt of eight threads is answered before all are at the service."""
    together = threading.Barrier(8)

    def answer(_: int) -> Answer:
        together.wait(20)
        return 200, json.dumps(GOOD).encode()

    server.answer = answer
    api = Cached(classifier(server.url, timeout=20))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: api([f"prompt {number}"])[0], range(8)))
    assert [scores.values for scores in found] == [{"violence": 0.75}] * 8


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""), (401, b""), (403, b""), (413, b""), (422, b""), (302, b""),
        (200, b"<html>"), (200, b"{}"), (200, b"["  * 200_000), (200, b" " * 1_000_001),
    ],
)  # fmt: skip
def test_what_is_not_the_services_failure_stops_nobody(
    server: Server, status: int, body: bytes
) -> None:
    """Prompts that the service refuses, however many, leave it there for the others."""
    server.answer = lambda count: (status, body) if count <= 6 else (200, json.dumps(GOOD).encode())
    api = classifier(server.url, breaker_failures=2, retries=3)
    down(api, 6, str(server.url).rpartition("/")[0] if status != 200 or body != b"{}" else "None")

    assert api(["an innocent cat"])[0].values == {"violence": 0.75}
    assert len(server.asked) == 7  # none was tried twice


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_services_failures_open_the_breaker(server: Server, status: int) -> None:
    """Overload and errors count; while it is open the error says when it is tried again."""
    server.answer = lambda _: (status, b"")
    api = classifier(server.url, breaker_failures=2)
    down(api, 2, f"status {status}")
    down(api, 3, "asked again in 30 s")
    assert len(server.asked) == 2


def test_time_outs_open_the_breaker(server: Server) -> None:
    """A service that drips is down as well."""
    server.drip = True
    api = classifier(server.url, breaker_failures=2, timeout=0.2)
    down(api, 2, "too slow")
    down(api, 2, "asked again in 30 s")


def test_who_is_not_let_in_is_told_of_the_token(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """401 and 403 name the variable, or say that no token is sent."""
    monkeypatch.setenv("MODERATION_TOKEN", "abc")
    for status in (401, 403):
        server.answer = lambda _, status=status: (status, b"")  # type: ignore[misc]
        for variable, told in (("MODERATION_TOKEN", "MODERATION_TOKEN"), ("", "no token is sent")):
            with pytest.raises(ClassifierError, match=f"status {status}: it does not let") as error:
                classifier(server.url, token_env=variable)(["a fight"])
            assert told in (error.value.mend or "")


@pytest.mark.parametrize("by_date", [False, True])
def test_it_waits_as_long_as_it_is_asked_to(server: Server, by_date: bool) -> None:
    """Retry-After, in seconds or as a date (whole seconds), comes before the usual pause."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    server.headers = {"Retry-After": date if by_date else "1"}
    server.answer = lambda count: (429 if count == 1 else 200, json.dumps(GOOD).encode())
    until = time.time() + 2  # the date has no fractions

    assert classifier(server.url, retries=2, timeout=20)(["a fight"])[0].values
    first, second = server.times
    assert second - first >= 1
    assert not by_date or time.time() >= until


@pytest.mark.parametrize("wish", ["3600", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_it_does_not_wait_beyond_its_time(server: Server, wish: str) -> None:
    """A wish that goes beyond timeout * (retries + 1) ends the request at once."""
    server.headers = {"Retry-After": wish}
    server.answer = lambda _: (503, b"")

    with pytest.raises(ClassifierError, match="status 503, it asks to wait"):
        classifier(server.url, retries=5)(["a fight"])
    assert len(server.asked) == 1


@pytest.mark.parametrize("wish", ["", "0", "-5", "soon", "1.5", "\u0663", "Mon, 99 Foo 2026"])
def test_a_wish_that_is_none(server: Server, wish: str) -> None:
    """The usual pause, then; what cannot be read is no reason to give up."""
    server.headers = {"Retry-After": wish.encode().decode("latin-1")}
    server.answer = lambda count: (503 if count == 1 else 200, json.dumps(GOOD).encode())

    assert classifier(server.url, retries=1, timeout=20)(["a fight"])[0].values


def test_a_request_ends_within_all_its_attempts_time(server: Server) -> None:
    """Pauses are part of it: what is left for the last attempt is less than the time-out."""
    server.drip = True
    with pytest.raises(ClassifierError, match=r"no whole answer within 0\.") as error:
        classifier(server.url, retries=1, timeout=1)(["a fight"])
    assert "within 1 s" not in str(error.value)


@pytest.mark.parametrize("token", ["abc\n", "  abc", "\tabc\r\n"])
def test_blanks_round_a_token(server: Server, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """They come with files and shells, and are not sent."""
    monkeypatch.setenv("MODERATION_TOKEN", token)
    classifier(server.url, token_env="MODERATION_TOKEN")(["a fight"])  # noqa: S106
    assert server.asked[0][1] == "Bearer abc"


@pytest.mark.parametrize("token", ["sek\nrit", "sek rit", "Bearer sekrit", "sekrit-tökén", "s\x7f"])
def test_a_token_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """It is an error at load, which names the variable and says nothing of what it holds."""
    monkeypatch.setenv("MODERATION_TOKEN", token)
    with pytest.raises(ClassifierError, match="printable ASCII") as error:
        classifier("http://127.0.0.1:9/", token_env="MODERATION_TOKEN")  # noqa: S106
    assert "MODERATION_TOKEN" in str(error.value)
    assert not [part for part in ("sek", "rit", "\x7f") if part in str(error.value)]


@pytest.mark.parametrize(
    "url",
    [
        "http://", "http://[", "http://127.0.0.1:99999/", "http://ex ample/sekrit",
        "http://☃.com:x/sekrit", "ftp://sekrit@h/", "sekrit", "https:///sekrit", "http:sekrit",
        "http://h/\x00sekrit", "http://user:sek/rit@h/",
    ],
)  # fmt: skip
def test_an_address_that_is_none(url: str) -> None:
    """It is an error at load, and not repeated."""
    with pytest.raises(ClassifierError, match=r"classifiers\.api\.url: expected http") as error:
        classifier(url)
    assert "sekrit" not in _all_of(error.value)


@pytest.mark.parametrize("user", ["user:sekrit", "sekrit", ":sekrit"])
def test_no_password_in_the_address(user: str) -> None:
    """Such addresses are shown by every tool; the error points at token_env."""
    with pytest.raises(ClassifierError, match="without user and password") as error:
        classifier(f"https://{user}@moderation.example/")
    assert "token_env" in (error.value.mend or "")
    assert "sekrit" not in _all_of(error.value)


def test_a_bad_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment that cannot be used is an error at load, without its password."""
    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "gopher://user:sekrit@h")
    with pytest.raises(ClassifierError, match="cannot set up HTTP: ValueError") as error:
        classifier("https://moderation.example/")
    assert "sekrit" not in _all_of(error.value)


def _all_of(error: BaseException) -> str:
    """What an error and all that led to it say, whether a traceback would show it or not."""
    led = [each for each in (error.__cause__, error.__context__) if each is not None]
    return "\n".join([*traceback.format_exception_only(error), *map(_all_of, led)])


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        ((500, b""), {}),
        ((429, b""), {"Retry-After": "3600"}),
        ((401, b""), {}),
        ((400, b"prompt-sekrit"), {}),
        ((302, b""), {"Location": "http://127.0.0.1:9/"}),
        ((200, b"prompt-sekrit"), {}),
        ((200, b"{}"), {"Content-Encoding": "gzip"}),
        ((200, b'{"results": "prompt-sekrit"}'), {}),
        ((200, json.dumps(GOOD).encode()), {}),
    ],
)
def test_secrets_stand_nowhere(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
    headers: dict[str, str],
) -> None:
    """No message, cause, log or repr holds the token, the path, the query or the prompt."""
    monkeypatch.setenv("MODERATION_TOKEN", "token-sekrit")
    caplog.set_level(logging.DEBUG)
    server.answer, server.headers = lambda _: answer, headers
    settings = RemoteSettings(
        kind="http",
        url=f"{server.url}/path-sekrit?key=query-sekrit",
        token_env="MODERATION_TOKEN",  # noqa: S106
        body={"key": "body-sekrit"},
        scores={"violence": "results.0.category_scores.violence"},
        retries=0,
    )
    api = RemoteClassifier("api", settings)
    shown = [repr(settings), str(settings), repr(api), repr(vars(api))]
    try:
        api(["prompt-sekrit"])
    except ClassifierError as error:
        shown.append(_all_of(error))
    assert server.asked == [({"key": "body-sekrit", "input": "prompt-sekrit"}, _BEARER)]
    assert caplog.records  # httpcore's, of connections
    assert "sekrit" not in "".join(shown) + caplog.text


_BEARER = "Bearer token-sekrit"


def test_nobody_there_tells_no_secret() -> None:
    """Of a failed connection the kinds of errors are told, which is enough to look."""
    with pytest.raises(ClassifierError, match=r"ConnectError.*ConnectionRefusedError") as error:
        classifier("http://127.0.0.1:9/path-sekrit?key=sekrit")(["a fight"])
    assert "sekrit" not in _all_of(error.value)


def test_a_policy_says_what_is_wrong_when_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Token and address are looked at before any prompt."""
    monkeypatch.setenv("MODERATION_TOKEN", "sekrit-tökén")
    policy = """
apiVersion: safegen/v1
metadata: {name: r, version: "1", owner: me}
classifiers:
  api: {kind: http, url: "http://127.0.0.1:9/", scores: {x: s}, token_env: MODERATION_TOKEN}
rules: [{id: a, when: score.x >= 0.5, then: {block: {reason: a.bcd}}}]
"""
    with pytest.raises(ClassifierError, match="printable ASCII"):
        Policy(policy)
