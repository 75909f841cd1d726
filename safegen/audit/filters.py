"""Which records a reader asks for: shared by the command line, the web page and the export."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal, Self, TypeVar

from pydantic import Field

from safegen.errors import InputError
from safegen.nouns import Frozen, Outcome

_SCORE = re.compile(
    r"\s*(?P<name>[^<>=\s]+)\s*(?P<op>>=|<=|>|<)\s*(?P<value>\d*\.?\d+)\s*", re.ASCII
)
_AGO = re.compile(r"(\d{1,6})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_Member = TypeVar("_Member", bound=StrEnum)


class State(StrEnum):
    """Where a record stands with the reviewers."""

    NONE = "none"
    OPEN = "open"
    ESCALATED = "escalated"
    UPHELD = "upheld"
    OVERTURNED = "overturned"


VERDICTS = (State.UPHELD, State.OVERTURNED, State.ESCALATED)


class ScoreRange(Frozen):
    """A bound on a score of the prompt, or on what a detector saw: `violence`, `nsfw/unsafe`."""

    name: str
    op: Literal[">=", "<=", ">", "<"]
    value: float


class Filters(Frozen):
    """Conditions that must all hold."""

    since: datetime | None = None
    until: datetime | None = Field(default=None, description="the first moment that is too late")
    outcome: Outcome | None = None
    rule: str = ""
    scores: tuple[ScoreRange, ...] = ()
    tenant: str = ""
    subjects: tuple[str, ...] = Field(
        default=(), description="the user as the ledger knows them: one for each tenant"
    )
    policy: str = Field(default="", description="name of the policy, or beginning of its digest")
    state: State | None = None

    @classmethod
    def parse(
        cls,
        *,
        since: str = "",
        until: str = "",
        outcome: str = "",
        score: Sequence[str] = (),
        state: str = "",
        rule: str = "",
        tenant: str = "",
        subject: str = "",
        policy: str = "",
    ) -> Self:
        """From what people type; empty text is no condition.

        Args:
            since: date or time (ISO 8601, UTC unless it says otherwise), or 12h, 7d, 4w for as
                long ago.
            until: likewise.
            outcome: one of the outcomes.
            score: such as "violence>=0.8", each of which must hold.
            state: one of the states.
            rule: id of a rule that fired, or `check:DETECTOR/LABEL` for a check that flagged.
            tenant: exactly.
            subject: exactly, `hmac-sha256:…`.
            policy: its name, or the beginning of its digest.

        Raises:
            InputError: one of them cannot be understood.
        """
        return cls(
            since=_moment(since),
            until=_moment(until),
            outcome=_member(Outcome, outcome, "outcome"),
            state=_member(State, state, "state"),
            scores=tuple(map(_score, score)),
            rule=rule,
            tenant=tenant,
            subjects=(subject,) if subject else (),
            policy=policy,
        )


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        if ago := _AGO.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"expected a date or time, got {text!r}",
            "write it as 2026-01-31, 2026-01-31T18:00, or 12h, 7d, 4w for as long ago",
        ) from error


def _member(kind: type[_Member], text: str, what: str) -> _Member | None:
    try:
        return kind(text) if text else None
    except ValueError as error:
        raise InputError(
            f"there is no {what} {text!r}", f"give one of {', '.join(kind)}"
        ) from error


def _score(text: str) -> ScoreRange:
    found = _SCORE.fullmatch(text)
    if found is None:
        raise InputError(
            f"expected a score with a bound, got {text!r}", 'write it as "violence>=0.8"'
        )
    return ScoreRange.model_validate(found.groupdict())
