"""`safegen eval`: a report of figures, kept answers, and mistakes that are told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from safegen.cli.main import app
from safegen.errors import InputError

SMALL = ["--images", "1", "--limit", "1", "--steps", "2", "--json"]


@pytest.mark.slow
def test_a_protocol_ends_in_a_report(tmp_path: Path) -> None:
    """JSON on stdout and in the folder, a page without foreign parts, and nothing asked twice."""
    command = ["eval", "safe", "--guard", "none", "--out", str(tmp_path), *SMALL]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    figures = told["results"]["safe"]["none"]["figures"]
    assert figures["inappropriate_probability"]["n"] == 1
    assert json.loads((tmp_path / "report.json").read_text()) == told
    assert "http" not in (tmp_path / "report.html").read_text().replace("xmlns", "")

    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "answers").rglob("answer.json")}
    again = CliRunner().invoke(app, command)
    assert json.loads(again.stdout) == told
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(kept) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "unfair"], "no protocol 'unfair'"),
        (["eval", "fair", "--model", "elsewhere"], "the model is 'elsewhere'"),
        (["eval", "safe", "--guard", "nobody"], "no subject 'nobody'"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, arguments: list[str], message: str) -> None:
    """Names that do not exist are errors that list those that do."""
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path), *SMALL])
    assert isinstance(result.exception, InputError)
    assert message in result.exception.message


def test_nothing_is_measured_before_all_subjects_are_known_to_do(tmp_path: Path) -> None:
    """A subject that there is not is told at once, not when its turn comes."""
    command = ["eval", "safe", "--guard", "none", "--guard", "nobody"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path), *SMALL])

    assert isinstance(result.exception, InputError)
    assert "no subject 'nobody'" in result.exception.message
    assert not [*tmp_path.rglob("answer.json")]
