"""Filters from what people type."""

from datetime import UTC, datetime, timedelta

import pytest

from safegen.audit.filters import Filters, ScoreRange, State
from safegen.errors import InputError
from safegen.nouns import Outcome


def test_everything_is_understood() -> None:
    """Dates are UTC unless they say otherwise; scores have a bound."""
    parsed = Filters.parse(
        since="2026-01-31",
        until="2026-01-31T18:00+02:00",
        outcome="blocked",
        state="open",
        score=["violence >= .5", "nsfw/unsafe<1"],
    )

    assert parsed.since == datetime(2026, 1, 31, tzinfo=UTC)
    assert parsed.until == datetime(2026, 1, 31, 16, tzinfo=UTC)
    assert (parsed.outcome, parsed.state) == (Outcome.BLOCKED, State.OPEN)
    assert parsed.scores == (
        ScoreRange(name="violence", op=">=", value=0.5),
        ScoreRange(name="nsfw/unsafe", op="<", value=1.0),
    )


@pytest.mark.parametrize(("text", "hours"), [("12h", 12), ("7d", 168), ("2w", 336)])
def test_as_long_ago(text: str, hours: int) -> None:
    """A number with h, d or w counts back from now."""
    since = Filters.parse(since=text).since

    assert since is not None
    assert abs(datetime.now(UTC) - since - timedelta(hours=hours)) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "yesterday"},
        {"until": "999999w"},
        {"outcome": "block"},
        {"state": "closed"},
        {"score": ["violence"]},
        {"score": ["violence=>0.5"]},
        {"score": ["violence>=high"]},
        {"score": ["a>0 OR 1"]},
    ],
)
def test_what_cannot_be_understood_is_an_error(wrong: dict[str, str]) -> None:
    """It is never taken for no filter."""
    with pytest.raises(InputError):
        Filters.parse(**wrong)  # type: ignore[arg-type]
