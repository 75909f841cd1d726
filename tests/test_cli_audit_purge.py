"""`safegen audit purge`: by age or by the policy's word, told in text and JSON."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledgers import record
from purging import aged
from typer.testing import CliRunner, Result

from safegen.audit.ledger import Ledger, entries, verify
from safegen.cli.audit import app
from safegen.errors import InputError
from safegen.nouns import Event

POLICY = """\
apiVersion: safegen/v1
metadata: {name: mine, version: "1"}
rules: [{id: a, when: "true", then: {review: {reason: all}}}]
"""


def run(*arguments: str | Path) -> Result:
    """Run `safegen audit`."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger with a record of January 2026 in a segment, and one of 2099 in the next."""
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.append(record(0))
        ledger.begin_segment()
        ledger.append(record(1).model_copy(update={"time": "2099-01-01T00:00:00.000+00:00"}))
    aged(tmp_path / "ledger")
    return tmp_path / "ledger"


def test_by_age(folder: Path) -> None:
    """A dry run says what would go; then it goes, and `verify` tells of it."""
    dry = run("purge", folder, "--older-than", "2026-02-01", "--dry-run")
    assert dry.stdout.startswith("would delete 1 records in 1 segments, older than 2026-02-01")
    assert verify(folder).records == 2
    done = run("purge", folder, "--older-than", "2026-02-01")
    told = run("verify", folder)

    assert done.stdout.startswith("deleted 1 records in 1 segments, older than 2026-02-01 00:00")
    assert "before them, 1 were purged, as a signed tombstone says" in told.stdout
    (event,) = (entry for _, entry in entries(folder) if isinstance(entry, Event))
    assert event.what == "purged"
    assert event.actor.startswith("os:")
    assert event.reason == "older than 2026-02-01"


def test_all_that_is_past(folder: Path) -> None:
    """No days at all are no time to come."""
    told = run("purge", folder, "--older-than", "0d", "--dry-run")
    assert told.stdout.startswith("would delete 2 records in 2 segments, older than ")


def test_what_is_overdue_is_told(folder: Path) -> None:
    """By how many records, and the segment that keeps them."""
    aged(folder, 0, datetime(2026, 6, 1, tzinfo=UTC))
    told = run("purge", folder, "--older-than", "2026-02-01")
    data = json.loads(run("purge", folder, "--older-than", "2026-02-01", "--json").stdout)

    assert "1 records stay that are overdue by more than a day" in told.stdout
    assert "because of 00000000.jsonl" in told.stdout
    assert data["overdue"] == 1
    assert data["kept_by"] == "00000000.jsonl"
    assert data["last_used"] == "2026-06-01T00:00:00+00:00"


def test_images_in_no_folder_keep_the_records(folder: Path, tmp_path: Path) -> None:
    """A mistyped folder is an error, before anything goes that names what is in the right one."""
    options = ("--older-than", "2026-02-01", "--images", tmp_path / "typo")
    for more in (["--dry-run"], []):
        result = run("purge", folder, *options, *more)
        assert isinstance(result.exception, InputError)
        assert "no folder of held images" in str(result.exception)

    assert not (tmp_path / "typo").exists()
    assert verify(folder).records == 2


def test_by_policy(folder: Path, tmp_path: Path) -> None:
    """The policy that was approved says how long; the tombstone names it."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY + "record: {keep_days: 7}\n")
    told = json.loads(run("purge", folder, "--policy", policy, "--json").stdout)

    assert (told["segments"], told["records"], told["dry_run"]) == (1, 1, False)
    (event,) = (entry for _, entry in entries(folder) if isinstance(entry, Event))
    assert event.reason == "the policy mine keeps them 7 days"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "expected either --older-than or --policy"),
        (["--older-than", "9d", "--policy", "default"], "expected either"),
        (["--older-than", "long"], "expected a date or time"),
        (["--older-than", "2999-01-01"], "is in the future"),
        (["--policy", "default"], "does not say how long records are kept"),
    ],
)
def test_what_goes_must_be_clear(folder: Path, options: list[str], message: str) -> None:
    """Else nothing goes."""
    result = run("purge", folder, *options)

    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert verify(folder).records == 2
