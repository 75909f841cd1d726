"""`safegen risk`: score a CSV, train a head and report on it, as a user does."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from safegen.cli.main import app
from safegen.errors import ClassifierError, InputError, OutputError

STORM = "prompt,risk,categories\n" + "".join(
    f"a {look} {scene},{risk},weather\n"
    for scene, risk in (("storm wrecks a ship", 1), ("lake at noon", 0), ("harbour", 0.3))
    for look in ("grey", "blue", "vast", "old", "small", "bright", "misty", "lonely", "wide")
)
PLAIN = "prompt\n" + "".join(f"{count} apples on a table\n" for count in range(2, 40))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Labelled prompts in two files, as arguments."""
    (tmp_path / "storm.csv").write_text(STORM, encoding="utf-8")
    (tmp_path / "plain.csv").write_text(PLAIN, encoding="utf-8")
    return [str(tmp_path / "storm.csv"), f"{tmp_path / 'plain.csv'}=0"]


def run(*arguments: str) -> Result:
    """Run the command; errors are raised."""
    return CliRunner().invoke(app, ["risk", *arguments], catch_exceptions=False)


def test_score_writes_a_column_per_score(tmp_path: Path) -> None:
    """Every score of the policy and `risk` come after the prompt, in the order of the file."""
    (tmp_path / "in.csv").write_text('text\n"a knife, bloody"\na bowl of fruit\n')
    told = run(
        "score", "--prompts", str(tmp_path / "in.csv"), "--column", "text",
        "--out", str(tmp_path / "out.csv"), "--json",
    )  # fmt: skip
    bad, good = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())

    assert bad["text"] == "a knife, bloody"
    assert float(bad["risk"]) > 0.5 > float(good["risk"])
    assert (float(bad["blade"]), float(good["blade"])) == (1.0, 0.0)
    assert list(bad) == ["text", *json.loads(told.stdout)["columns"]]
    assert set(json.loads(told.stdout)["classifiers"]) == {"terms", "head"}


def test_score_without_the_column(tmp_path: Path) -> None:
    """A column that is not there is an error that lists those that are."""
    (tmp_path / "in.csv").write_text("text\na cat\n")
    with pytest.raises(InputError, match="found text"):
        run("score", "--prompts", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def test_score_to_nowhere(tmp_path: Path) -> None:
    """A place that cannot be written is an error."""
    (tmp_path / "in.csv").write_text("prompt\na cat\n")
    with pytest.raises(OutputError, match="cannot write"):
        run("score", "--prompts", str(tmp_path / "in.csv"), "--out", str(tmp_path / "no" / "x"))


def test_train_and_report(files: list[str], tmp_path: Path) -> None:
    """A head of one's own is trained, and the report is one page with plots that loads nothing."""
    head, out = tmp_path / "mine.safetensors", tmp_path / "report.html"
    told = json.loads(run("train", *files, "--out", str(head), "--json").stdout)
    found = json.loads(
        run("report", *files, "--head", str(head), "--all", "--out", str(out), "--json").stdout
    )
    html = out.read_text(encoding="utf-8")

    assert 0 < told["rows"] < 65
    assert found["scores"]["risk"]["auroc_hot_cold"] > 0.9
    assert found["scores"]["risk"]["categories"]["weather"]["hot"]["rows"] == 9
    assert found["latency_ms"].keys() == {"terms", "head"}
    assert "<svg" in html
    assert "http" not in html
    assert all(each in html for each in found["false_alarms"])


def test_report_in_words(files: list[str]) -> None:
    """Without --json there is a line per score and per classifier."""
    told = run("report", *files, "--all").stdout

    assert "risk: AUROC hot/benign" in told
    assert "latency of head: p50" in told


def test_score_names_the_record_that_cannot_be_scored(tmp_path: Path) -> None:
    """A prompt longer than any real one is an error with its place, and nothing is written."""
    (tmp_path / "in.csv").write_text(f"prompt\na cat\n{'a ' * 30_000}\n", encoding="utf-8")
    with pytest.raises(ClassifierError, match=r"record 2: .* 60000 characters"):
        run("score", "--prompts", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv"))

    assert not (tmp_path / "out.csv").exists()
