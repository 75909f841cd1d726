"""Moderation APIs over HTTP, asked on a real local server: answers, failures, bounds."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from safegen.errors import ClassifierError
from safegen.risk.remote import RemoteClassifier, RemoteSettings

GOOD = {"results": [{"category_scores": {"violence": 0.75}}]}
Answer = tuple[int, bytes]


class Server:
    """A moderation API whose answers the test decides; `asked` holds what it was sent."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, Any], str]] = []
        self.answer: Callable[[int], Answer] = lambda _: (200, json.dumps(GOOD).encode())
        self.drip = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((body, self.headers.get("Authorization", "")))
                status, content = outer.answer(len(outer.asked))
                self.send_response(status)
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
    defaults = {"timeout": 1.0, "retries": 0, "scores": found}
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
        ((200, b"[" + b"1," * 600_000 + b"1]"), "too slow or too long"),
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
