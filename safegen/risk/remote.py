"""Moderation APIs over HTTP: one request per prompt, with timeout, retries and circuit breaker.

Whatever goes wrong is an error, and so ends the request without an image. The prompt leaves this
machine: say so to your users. Of the address messages show scheme and host alone: path and query
may hold a key.
"""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from safegen.errors import ClassifierError, MissingExtraError
from safegen.nouns import Frozen, Scores
from safegen.risk.breaker import Breaker, BreakerOpenError
from safegen.risk.combine import ScoreName, classifier_digest
from safegen.wire import BadAnswerError, NoAnswerError, Wire

if TYPE_CHECKING:
    import httpx

_HOST = re.compile(rb"[0-9A-Za-z._:-]+")  # a name or an IP address, as IDNA; httpx takes more


class RemoteSettings(Frozen):
    """A moderation API that takes a POST of JSON; scores are looked up in its answer."""

    model_config = ConfigDict(hide_input_in_errors=True)

    kind: Literal["http"]
    # Checked by the classifier, whose errors do not repeat it; the pattern is for editors.
    url: str = Field(
        repr=False,
        description="where to post, https://…; keys belong into token_env",
        json_schema_extra={"pattern": "^https?://"},
    )
    scores: dict[ScoreName, str] = Field(
        min_length=1,
        description="score's name -> where it stands in the answer, in [0, 1]: "
        "results.0.category_scores.violence",
    )
    input: str = Field(default="input", description="the key of the body that holds the prompt")
    body: dict[str, str] = Field(
        default={}, repr=False, description="what else the body holds: model …"
    )
    token_env: str = Field(
        default="", description="the environment variable that holds the bearer token"
    )
    timeout: float = Field(
        default=5.0, gt=0, le=60, description="seconds for each attempt, from look-up to last byte"
    )
    retries: int = Field(
        default=2, ge=0, le=5, description="further attempts; all within timeout * (retries + 1)"
    )
    breaker_failures: int = Field(
        default=5,
        ge=1,
        description="prompts in a row that the service failed to answer after which none is sent",
    )
    breaker_seconds: float = Field(
        default=30.0, gt=0, description="how long none is sent before one is tried again"
    )


class RemoteClassifier:
    """Asks the API about each prompt, from any number of threads at once.

    An empty prompt scores 0 without being sent.

    Raises:
        MissingExtraError: a package of the extra `remote` is not installed.
        ClassifierError: the address or the token cannot be used, or the environment's proxy.
    """

    def __init__(self, name: str, settings: RemoteSettings) -> None:
        try:
            import httpx  # noqa: F401 - that of the extra; used by the functions below
            import tenacity
        except ImportError as error:
            raise MissingExtraError(
                error.name or "httpx", "remote", "asking a moderation API"
            ) from error
        self.name = name
        # What the service runs cannot be known; the settings are what the digest can vouch for.
        self.digest = classifier_digest(settings.model_dump(mode="json"))
        self._settings = settings
        url = _address(name, settings.url)
        self._where = f"{url.scheme}://{url.netloc.decode('ascii')}"
        self._wire = _wire(name, url, _headers(name, settings))
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_seconds, NoAnswerError)
        self._whole = settings.timeout * (settings.retries + 1)
        soon = tenacity.wait_random_exponential(multiplier=0.2, max=2)

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return max(soon(state), error.after if isinstance(error, NoAnswerError) else 0.0)

        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(settings.retries + 1),
                tenacity.stop_before_delay(self._whole),
            ),
            wait=pause,
            retry=tenacity.retry_if_exception_type(NoAnswerError),
            reraise=True,
        )

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """The scores that the answers hold.

        Raises:
            ClassifierError: the service did not answer, its answer lacks a score, or so many
                prompts failed that none is sent for a while.
        """
        return [self._scores(prompt) for prompt in prompts]

    def _scores(self, prompt: str) -> Scores:
        if not prompt:
            return Scores(values=dict.fromkeys(self._settings.scores, 0.0))
        body = json.dumps({**self._settings.body, self._settings.input: prompt}).encode()
        deadline = time.monotonic() + self._whole
        try:
            with self._breaker.asking():
                answer = self._retrying(self._ask, body, deadline)
        except (NoAnswerError, BreakerOpenError) as error:
            raise ClassifierError(
                f"{self._where} gave no answer: {error}",
                "until it does, no prompt passes; remove the classifier from the policy to go on",
            ) from error
        return Scores(
            values={name: self._found(answer, at) for name, at in self._settings.scores.items()}
        )

    def _ask(self, body: bytes, deadline: float) -> Any:
        left = max(0.0, deadline - time.monotonic())
        try:
            answer = self._wire.post(body, min(self._settings.timeout, left))
        except BadAnswerError as error:
            raise ClassifierError(
                f"{self._where}: {error}", "correct the url, or how the service answers"
            ) from error
        if answer.status == 429 or answer.status >= 500:
            after = _seconds_of(answer.retry_after)
            wish = f", it asks to wait {after:.0f} s" if after else ""
            raise NoAnswerError(f"status {answer.status}{wish}", after)
        if answer.status != 200:
            raise self._refused(answer.status)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            told = f"{self._where} answered with no JSON: {type(error).__name__}"
        # Not within the handler: the error holds the answer, in which the prompt may stand.
        raise ClassifierError(told, "correct the url")

    def _refused(self, status: int) -> ClassifierError:
        """The service is there, so none of these opens the breaker.

        Not even 401 and 403, which mean the token as a rule: filters in front of a service answer
        so to single prompts, and whoever knows one could stop it for everybody.
        """
        told = f"{self._where} refused the request with status {status}"
        if status in {401, 403}:
            variable = self._settings.token_env
            token = f"the token in {variable}" if variable else "token_env, no token is sent"
            return ClassifierError(
                f"{told}: it does not let this classifier in",
                f"correct {token}; if other prompts pass, it is this one that it does not take",
            )
        if 400 <= status < 500:
            return ClassifierError(
                told, "it does not take this prompt; if it takes none, correct the url or the body"
            )
        return ClassifierError(told, "correct the url; redirects are not followed")

    def _found(self, answer: Any, at: str) -> float:
        value = answer
        for key in at.split("."):
            if isinstance(value, Mapping):
                value = value.get(key)
            elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                value = None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            # Text may be the prompt, which services send back; no error of ours repeats it.
            plain = value is None or isinstance(value, (int, float))
            raise ClassifierError(
                f"expected a score in [0, 1] at {at!r} of the answer, got "
                f"{value if plain else type(value).__name__}",
                "correct where the score stands in the answer",
            )
        return float(value)


def _address(name: str, text: str) -> "httpx.URL":
    import httpx

    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    known = url.scheme in {"http", "https"} and (url.port or 0) <= 65535
    if not known or not _HOST.fullmatch(url.raw_host):
        raise ClassifierError(
            f"classifiers.{name}.url: expected http:// or https:// with a host, got something else",
            "write it like https://moderation.example/v1/moderations",
        )
    if url.userinfo:
        raise ClassifierError(
            f"classifiers.{name}.url: expected an address without user and password",
            "take out what stands before the @, and name in `token_env` the environment variable "
            "that holds the bearer token",
        )
    return url


def _headers(name: str, settings: RemoteSettings) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    variable = settings.token_env
    if not variable:
        return headers
    # Files and shells leave a newline at the end of what they hand on.
    token = os.environ.get(variable, "").strip()
    if not token:
        raise ClassifierError(
            f"the classifier {name!r} needs a token in {variable}, which is not set",
            f"set the environment variable {variable}",
        )
    if not all("!" <= character <= "~" for character in token):
        raise ClassifierError(
            f"the classifier {name!r}: expected a token of printable ASCII without blanks in "
            f"{variable}, got other characters",
            f"set {variable} to the token alone, without `Bearer` and without a second line",
        )
    return headers | {"Authorization": f"Bearer {token}"}


def _wire(name: str, url: "httpx.URL", headers: Mapping[str, str]) -> Wire:
    try:
        return Wire(url, headers)
    except Exception as error:  # noqa: BLE001 - its text may repeat a proxy's password
        told = f"the classifier {name!r} cannot set up HTTP: {type(error).__name__}"
    raise ClassifierError(
        told, "look at HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR in the environment"
    )


def _seconds_of(retry_after: str) -> float:
    """How long a service asks to wait, by a number of seconds or by a date; 0 if it does not."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0
