"""`safegen audit query`, `show` and `stats`: what reviewers and auditors ask."""

import csv
import io
import json
from pathlib import Path

import pytest
from ledgers import BARE, FULL, event, ledger
from typer.testing import CliRunner, Result

from safegen.cli.audit import app
from safegen.errors import InputError, LedgerError, OutputError
from safegen.nouns import Context, Record

SAID = event(0, "overturned", FULL, actor="ann", reason="a toy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record that has everything, one that has next to nothing, and a verdict."""
    return ledger(tmp_path_factory.mktemp("ledger"), FULL, BARE, SAID)


def run(*arguments: str | Path) -> Result:
    """Run `safegen audit` on a wide terminal."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(each) for each in arguments])


def test_query_lists_one_line_a_record(folder: Path) -> None:
    """Each record is a row with time, outcome, rules, images by outcome, and state."""
    result = run("query", folder)
    (full,) = (line for line in result.stdout.splitlines() if "11111111" in line)
    (bare,) = (line for line in result.stdout.splitlines() if "22222222" in line)

    assert result.exit_code == 0
    for part in (FULL.time, "review", "acme", "occ-1", "1 steered, 1 review", "overturned"):
        assert part in full
    assert "error" in bare


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--outcome", "error"], [BARE.id]),
        (["--score", "violence>=0.7", "--score", "nsfw/unsafe>0.8"], [FULL.id]),
        (["--score", "violence>=0.8"], []),
        (["--rule", "occ-1", "--tenant", "acme", "--policy", "default"], [FULL.id]),
        (["--state", "overturned"], [FULL.id]),
        (["--since", "2026-01-02T03:05"], [BARE.id]),
        (["--until", "2026-01-02T03:05"], [FULL.id]),
        (["--limit", "1"], [BARE.id]),
    ],
)
def test_query_filters(folder: Path, options: list[str], ids: list[str]) -> None:
    """Every filter narrows what is given, newest first; the records read back as written."""
    shown = run("query", folder, "--json", *options).stdout.splitlines()
    lines = [json.loads(line) for line in shown]

    assert [each["record"]["id"] for each in lines] == ids
    assert all(Record.model_validate(each["record"]) in (FULL, BARE) for each in lines)


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_a_list_that_was_cut_says_so(folder: Path, form: list[str]) -> None:
    """On standard error, beside whatever form it has; a whole list says nothing."""
    for limit, told in (("1", True), ("2", False), ("0", False)):
        result = run("query", folder, "--limit", limit, *form)
        assert ("the newest 1, and more records fit: --limit 0" in result.stderr) == told
        assert "--limit" not in result.stdout


def test_a_misspelt_filter_is_an_error(folder: Path) -> None:
    """Nothing found and nothing called so are told apart."""
    result = run("query", folder, "--rule", "occ1")

    assert isinstance(result.exception, InputError)
    assert "did you mean occ-1?" in str(result.exception)


def test_csv_cells_are_no_formulas(tmp_path: Path) -> None:
    """Text that a spreadsheet would run gets an apostrophe before it."""
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u200b=1", "plain", "a=b"]
    records = [
        FULL.model_copy(update={"id": f"id-{i}", "context": Context(tenant=text)})
        for i, text in enumerate(texts)
    ]
    shown = run("query", ledger(tmp_path, *records), "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(shown, newline="")))

    assert [row["tenant"] for row in rows][::-1] == [
        *(f"'{text}" for text in texts[:8]), "plain", "a=b"
    ]  # fmt: skip
    assert rows[0]["scores"] == "violence=0.75 nsfw/unsafe=0.875"


def test_show_explains_a_record(folder: Path) -> None:
    """With an id, everything a reviewer needs is told in words."""
    result = run("show", folder, "1111")

    assert result.exit_code == 0
    for part in (
        "record 0", FULL.id, FULL.time, "hmac-sha256:abc", "2 images by acme", "seed 7",
        "violence = 0.75", "mentions_occupation = True", "occupation: characters 2-7",
        "steered: balance", "sha256:p0", "occ-1: steer (fair), saw violence = 0.75",
        "woman x0.5 from 10% to 90%", "image 1: no steering", "steer away from: weapons",
        "nsfw/unsafe from 0.6", "regenerate 2 times", "model sha256:m0", "steps = 30",
        "applied at mid_block", "vector woman = sha256:v0", "sha256 f00d", "generated 3 times",
        "not returned", "regenerate x1.5, review", "flagged: unsafe", "which a check flags",
        "nsfw saw unsafe: 0.875 in 1, 2, 30.5, 40 (sha256:d0)", "SafeGen 0.1.0",
        "ann overturned it: a toy",
    ):  # fmt: skip
        assert part in result.stdout, part


def test_show_explains_a_failed_request(folder: Path) -> None:
    """A record without decision or images says so; its text cannot steer the terminal."""
    result = run("show", folder, BARE.id)

    assert result.exit_code == 0
    assert "none was reached" in result.stdout
    assert r"ClassifierError: \x1b[31mred\u202e" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout


def test_show_json_reads_back(folder: Path) -> None:
    """`--json` gives the record and the events about it as they were written."""
    shown = json.loads(run("show", folder, "1111", "--json").stdout)

    assert Record.model_validate(shown["record"]) == FULL
    assert shown["state"] == "overturned"
    assert shown["events"] == [SAID.model_dump(mode="json")]


def test_show_names_what_is_not_there(folder: Path) -> None:
    """An id that no record has is the user's to mend."""
    assert isinstance(run("show", folder, "33").exception, LedgerError)


def test_stats_count_and_plot(folder: Path, tmp_path: Path) -> None:
    """Outcomes and rules over time, and what was overturned: as table, JSON and a web page."""
    page = tmp_path / "stats.html"
    text = run("stats", folder, "--by", "hour", "--html", page)
    found = json.loads(run("stats", folder, "--by", "hour", "--json").stdout)

    assert text.exit_code == 0
    for part in ("review", "error", "occ-1", "50.0%", "check:nsfw/unsafe", "1 of 1", "█"):
        assert part in text.stdout, part
    assert found["steps"] == [
        {
            "time": "2026-01-02 03:00",
            "requests": 2,
            "outcomes": {"error": 1, "review": 1},
            "rules": {"check:nsfw/unsafe": 1, "occ-1": 1},
        }
    ]
    assert found["verdicts"] == [{"rule": "check:nsfw/unsafe", "upheld": 0, "overturned": 1}]
    assert "<svg" in page.read_text()
    assert "<script" not in page.read_text()


def test_stats_refuse_an_unknown_step(folder: Path) -> None:
    """A step of time that is none is not taken for days."""
    assert isinstance(run("stats", folder, "--by", "month").exception, InputError)


def test_where_the_index_cannot_be_written_the_option_is_named(tmp_path: Path) -> None:
    """Who may only read the ledger keeps the index elsewhere."""
    where = ledger(tmp_path / "ledger", FULL)
    (where / "index.sqlite").mkdir()  # nobody can write to that, root included
    refused = run("query", where).exception
    elsewhere = run("query", where, "--index", tmp_path / "index.sqlite")

    assert isinstance(refused, OutputError)
    assert "--index" in str(refused.mend)
    assert elsewhere.exit_code == 0
