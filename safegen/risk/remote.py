"""Moderation APIs over HTTP: one request per prompt, with timeout, retries and circuit breaker.

Whatever goes wrong is an error, and so ends the request without an image. The prompt leaves this
machine: say so to your users.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from safegen.errors import ClassifierError, MissingExtraError
from safegen.nouns import Frozen, Scores
from safegen.risk.combine import ScoreName, classifier_digest

_MAX_ANSWER = 1_000_000  # bytes


class RemoteSettings(Frozen):
    """A moderation API that takes a POST of JSON; scores are looked up in its answer."""

    kind: Literal["http"]
    url: str = Field(pattern=r"^https?://", description="where to post")
    scores: dict[ScoreName, str] = Field(
        min_length=1,
        description="score's name -> where it stands in the answer, in [0, 1]: "
        "results.0.category_scores.violence",
    )
    input: str = Field(default="input", description="the key of the body that holds the prompt")
    body: dict[str, str] = Field(default={}, description="what else the body holds: model …")
    token_env: str = Field(
        default="", description="the environment variable that holds the bearer token"
    )
    timeout: float = Field(default=5.0, gt=0, le=60, description="seconds, for each attempt")
    retries: int = Field(default=2, ge=0, le=5, description="further attempts after the first")
    breaker_failures: int = Field(
        default=5, ge=1, description="failed prompts in a row after which none is sent"
    )
    breaker_seconds: float = Field(
        default=30.0, gt=0, description="how long none is sent before one is tried again"
    )


class _UnavailableError(Exception):
    """The service may answer if asked again."""


class RemoteClassifier:
    """Asks the API about each prompt; an empty one scores 0 without being sent.

    Raises:
        MissingExtraError: a package of the extra `remote` is not installed.
        ClassifierError: the environment variable of the token is empty.
    """

    def __init__(self, name: str, settings: RemoteSettings) -> None:
        try:
            import httpx
            import pybreaker
            import tenacity
        except ImportError as error:
            raise MissingExtraError(
                error.name or "httpx", "remote", "asking a moderation API"
            ) from error
        self.name = name
        # What the service runs cannot be known; the settings are what the digest can vouch for.
        self.digest = classifier_digest(settings.model_dump(mode="json"))
        self._settings = settings
        self._errors = httpx.HTTPError
        self._client = httpx.Client(timeout=settings.timeout, headers=_headers(name, settings))
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=settings.breaker_failures, reset_timeout=settings.breaker_seconds
        )
        self._open = pybreaker.CircuitBreakerError
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(settings.retries + 1),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
            retry=tenacity.retry_if_exception_type(_UnavailableError),
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
        try:
            answer = self._breaker.call(self._retrying, self._ask, prompt)
        except (_UnavailableError, self._open) as error:
            raise ClassifierError(
                f"{self._settings.url} gave no answer: {error}",
                "until it does, no prompt passes; remove the classifier from the policy to go on",
            ) from error
        return Scores(
            values={name: self._found(answer, at) for name, at in self._settings.scores.items()}
        )

    def _ask(self, prompt: str) -> Any:
        body = json.dumps({**self._settings.body, self._settings.input: prompt})
        # httpx's timeout is one of silence: a server that drips would keep us for ever.
        deadline = time.monotonic() + self._settings.timeout
        parts: list[bytes] = []
        try:
            with self._client.stream("POST", self._settings.url, content=body) as response:
                status = response.status_code
                for part in response.iter_bytes():
                    parts.append(part)
                    if time.monotonic() > deadline or sum(map(len, parts)) > _MAX_ANSWER:
                        raise _UnavailableError("the answer is too slow or too long")
        except self._errors as error:
            raise _UnavailableError(f"{type(error).__name__}: {error}") from error
        if status == 429 or status >= 500:
            raise _UnavailableError(f"status {status}")
        if status != 200:
            raise ClassifierError(
                f"{self._settings.url} refused the request with status {status}",
                "correct the url, the body or the token",
            )
        try:
            return json.loads(b"".join(parts))
        except ValueError as error:
            raise ClassifierError(f"{self._settings.url} answered with no JSON: {error}") from error

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


def _headers(name: str, settings: RemoteSettings) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if not settings.token_env:
        return headers
    token = os.environ.get(settings.token_env)
    if not token:
        raise ClassifierError(
            f"the classifier {name!r} needs a token in {settings.token_env}, which is not set",
            f"set the environment variable {settings.token_env}",
        )
    return headers | {"Authorization": f"Bearer {token}"}
