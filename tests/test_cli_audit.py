"""`safegen audit`: what an auditor and a reviewer see."""

import json
from pathlib import Path
from shutil import copy

import pytest
from typer.testing import CliRunner, Result

from safegen.audit.ledger import Ledger
from safegen.cli.audit import app
from safegen.errors import LedgerError
from safegen.nouns import (
    Check,
    Context,
    Decision,
    Finding,
    FiredRule,
    ImageRecord,
    Intervention,
    Outcome,
    Reaction,
    Record,
    Scores,
    Span,
    SteeringReport,
)

STEER = Intervention(concept="woman", strength=0.5, start=0.1, stop=0.9)
FULL = Record(
    id="11111111-aaaa",
    time="2026-01-02T03:04:05.678+00:00",
    outcome=Outcome.REVIEW,
    prompt_commitment="hmac-sha256:abc",
    context=Context(tenant="acme", images=2, seed=7),
    scores=Scores(
        values={"violence": 0.75},
        facts={"mentions_occupation": True},
        spans=(Span(name="occupation", start=2, end=7),),
    ),
    decision=Decision(
        outcome=Outcome.STEERED,
        reason="balance",
        rules=(FiredRule(id="occ-1", action="steer", reason="fair", values={"violence": 0.75}),),
        interventions=((STEER,), ()),
        negative_prompt="weapons",
        checks=(Check(detector="nsfw", label="unsafe", threshold=0.6),),
        ladder=(Reaction(action="regenerate", times=2, strength=1.5), Reaction(action="review")),
        policy="default",
        policy_digest="sha256:p0",
    ),
    model_digest="sha256:m0",
    sampler={"steps": 30},
    steering=SteeringReport(status="applied", sites=("mid_block",), vectors={"woman": "sha256:v0"}),
    images=(
        ImageRecord(seed=7, outcome=Outcome.STEERED, sha256="f00d", interventions=(STEER,)),
        ImageRecord(
            seed=8,
            outcome=Outcome.REVIEW,
            attempts=3,
            actions=("regenerate x1.5", "review"),
            findings=(
                Finding(
                    detector="nsfw",
                    detector_digest="sha256:d0",
                    label="unsafe",
                    score=0.875,
                    box=(1, 2, 30.5, 40),
                ),
            ),
            reason="flagged: unsafe",
        ),
    ),
    safegen="0.1.0",
)
BARE = Record(
    id="22222222-bbbb",
    time="2026-01-02T03:05:00.000+00:00",
    outcome=Outcome.ERROR,
    prompt_commitment="hmac-sha256:def",
    context=Context(),
    scores=Scores(),
    error="ClassifierError: \x1b[31mred\u202e",
    safegen="0.1.0",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with a record that has everything and one that has next to nothing."""
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.append(FULL)
        ledger.append(BARE)
    return tmp_path / "ledger"


def run(*arguments: str | Path) -> Result:
    """Run `safegen audit` on a wide terminal."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(each) for each in arguments])


def tamper(folder: Path) -> None:
    """Change the outcome of the second record."""
    path = folder / "00000000.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"outcome":"error"', b'"outcome":"allow"'))


def test_verify_counts(ledger: Path) -> None:
    """A sound ledger exits 0 with its counts, as text and as JSON."""
    text, data = run("verify", ledger), run("verify", ledger, "--json")
    found = json.loads(data.stdout)

    assert (text.exit_code, data.exit_code) == (0, 0)
    assert "intact: 2 records in 1 segments" in text.stdout
    assert found.pop("head_hash") in text.stdout
    assert found == {"intact": True, "records": 2, "segments": 1, "unfinished": False}


def test_verify_names_what_was_changed(ledger: Path) -> None:
    """A changed record exits 1 and is named, on stderr or in the JSON."""
    tamper(ledger)
    text, data = run("verify", ledger), run("verify", ledger, "--json")
    found = json.loads(data.stdout)

    assert (text.exit_code, data.exit_code) == (1, 1)
    assert "00000000.jsonl:2: record 1" in text.stderr
    assert "22222222-bbbb" in text.stderr
    assert found["intact"] is False
    assert (found["error"]["seq"], found["error"]["kind"]) == (1, "altered")
    assert found["error"]["type"] == "LedgerTamperedError"


def test_verify_tells_of_an_unfinished_record(ledger: Path) -> None:
    """Half a line at the end is mentioned and no failure."""
    with (ledger / "00000000.jsonl").open("ab") as file:
        file.write(b"{")
    result = run("verify", ledger)

    assert result.exit_code == 0
    assert "a record is being written now or was cut off" in result.stdout


def test_verify_against_what_was_kept_apart(ledger: Path, tmp_path: Path) -> None:
    """Key and checkpoint kept apart are used: the ledger's own pass, those of another do not."""
    Ledger.open(tmp_path / "other").close()
    kept = copy(ledger / "checkpoint.json", tmp_path / "kept.json")
    own = run("verify", ledger, "--public-key", ledger / "public.pem", "--checkpoint", kept)
    other = run("verify", ledger, "--public-key", tmp_path / "other" / "public.pem")

    assert own.exit_code == 0
    assert other.exit_code == 1
    assert "not signed with this ledger's key" in other.stderr


def test_show_lists_one_line_a_record(ledger: Path) -> None:
    """Each record is a row with time, outcome, rules and its images by outcome."""
    result = run("show", ledger)
    (full,) = (line for line in result.stdout.splitlines() if "11111111" in line)
    (bare,) = (line for line in result.stdout.splitlines() if "22222222" in line)

    assert result.exit_code == 0
    for part in (FULL.time, "review", "occ-1", "1 steered, 1 review"):
        assert part in full
    assert "error" in bare


def test_show_explains_a_record(ledger: Path) -> None:
    """With an id, everything a reviewer needs is there."""
    result = run("show", ledger, "--record", "1111")

    assert result.exit_code == 0
    for part in (
        "record 0", FULL.id, FULL.time, "hmac-sha256:abc", "tenant = acme", "violence = 0.75",
        "mentions_occupation = True", "occupation: characters 2-7", "steered: balance",
        "sha256:p0", "occ-1: steer (fair), saw violence = 0.75", "woman x0.5 from 10% to 90%",
        "image 1: nothing", "weapons", "nsfw: unsafe from 0.6", "regenerate 2 times",
        "sha256:m0", "steps = 30", "applied at mid_block", "woman = sha256:v0", "sha256 f00d",
        "seed 8, attempts 3", "not returned", "regenerate x1.5, review", "flagged: unsafe",
        "nsfw saw unsafe: 0.875 in 1, 2, 30.5, 40 (sha256:d0)", "0.1.0",
    ):  # fmt: skip
        assert part in result.stdout, part


def test_show_explains_a_failed_request(ledger: Path) -> None:
    """A record without decision or images says so; its text cannot steer the terminal."""
    result = run("show", ledger, "--record", BARE.id)

    assert result.exit_code == 0
    assert "none was reached" in result.stdout
    assert r"ClassifierError: \x1b[31mred\u202e" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout


def test_show_json_reads_back(ledger: Path) -> None:
    """`--json` prints the records as they were written, one object a line."""
    every = [json.loads(line) for line in run("show", ledger, "--json").stdout.splitlines()]
    one = json.loads(run("show", ledger, "--json", "--record", "2222").stdout)

    assert [each["seq"] for each in every] == [0, 1]
    assert [Record.model_validate(each["record"]) for each in every] == [FULL, BARE]
    assert one == every[1]


@pytest.mark.parametrize("command", ["verify", "show"])
def test_no_ledger_is_an_error(tmp_path: Path, command: str) -> None:
    """A folder that holds no ledger is the user's to mend, not a tampered one."""
    result = run(command, tmp_path)

    assert isinstance(result.exception, LedgerError)
