"""`safegen risk`: score a CSV, train a head and report on it, as a user does."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from safegen.cli.main import app
from safegen.errors import ClassifierError, InputError, OutputError
from safegen.risk.data import Row

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


def test_score_keeps_the_prompts(tmp_path: Path) -> None:
    """What stands beside them would be lost if their file were written over."""
    path = tmp_path / "in.csv"
    path.write_text("id,prompt,label\n1,a cat,pet\n")
    with pytest.raises(OutputError, match="holds the prompts"):
        run("score", "--prompts", str(path), "--out", str(tmp_path / "." / "in.csv"))

    assert path.read_text().startswith("id,prompt,label")


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


def test_report_knows_a_mixed_file_by_all_its_rows(tmp_path: Path) -> None:
    """Held-out rows of a mixed file are cold and not benign, though all of them are harmless."""
    prompts = [f"a hill, {number}" for number in range(40)]
    held_out = [Row(source="", prompt=each, risk=0).fold == 0 for each in prompts]
    lines = (f'"{each}",{0 if out else 1}\n' for each, out in zip(prompts, held_out, strict=True))
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("prompt,risk\n" + "".join(lines))
    (tmp_path / "bad.csv").write_text(PLAIN.replace("apples", "corpses"))
    told = json.loads(run("report", str(mixed), f"{tmp_path / 'bad.csv'}=1", "--json").stdout)
    risk = told["scores"]["risk"]

    assert (risk["cold"]["rows"], risk["benign"]["rows"]) == (sum(held_out), 0)


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


def test_report_on_a_harmless_file_and_a_risky_one(tmp_path: Path) -> None:
    """What most have: good prompts and bad ones; what needs mixed files is said not to be known."""
    (tmp_path / "good.csv").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "bad.csv").write_text("prompt\na bloody knife\na man with a gun\n")
    files = f"{tmp_path / 'good.csv'}=0", f"{tmp_path / 'bad.csv'}=1"
    told = run("report", *files, "--all").stdout

    assert "AUROC hot/benign not measured, hot/cold not measured, all 1.000" in told


def test_report_on_harmless_prompts_alone(tmp_path: Path) -> None:
    """It is said before anything is scored, and how to mend it."""
    (tmp_path / "good.csv").write_text(PLAIN, encoding="utf-8")
    with pytest.raises(InputError, match="got 0 and 38"):
        run("report", f"{tmp_path / 'good.csv'}=0", "--all")


def test_report_on_a_policy_with_a_head(files: list[str], tmp_path: Path) -> None:
    """Its own head is measured, with no other beside it; one that is given takes its place."""
    own, other = tmp_path / "own.safetensors", tmp_path / "other.safetensors"
    run("train", *files, "--out", str(own))
    run("train", *files, "--out", str(other), "--seed", "7")
    policy = tmp_path / "mine.yaml"
    policy.write_text(
        "apiVersion: safegen/v1\nmetadata: {name: mine, version: 1.0.0, owner: us}\n"
        f"classifiers:\n  text: {{kind: head, path: {own}}}\n"
        "rules:\n  - {id: high, when: score.risk > 0.9, then: {block: {reason: risk}}}\n"
    )
    given = ["report", *files, "--all", "--policy", str(policy), "--json"]
    mine, theirs = (
        json.loads(run(*given).stdout),
        json.loads(run(*given, "--head", str(other)).stdout),
    )

    assert mine["latency_ms"].keys() == {"text"}
    assert theirs["latency_ms"].keys() == {"head"}
    assert mine["scores"]["risk"]["threshold"] != theirs["scores"]["risk"]["threshold"]


def test_report_names_the_prompt_that_cannot_be_scored(files: list[str], tmp_path: Path) -> None:
    """Of thousands, it is that one."""
    (tmp_path / "long.csv").write_text(f"prompt\n{'word ' * 12_000}\n", encoding="utf-8")
    with pytest.raises(ClassifierError, match="long, 'word word"):
        run("report", *files, f"{tmp_path / 'long.csv'}=0", "--all")


@pytest.mark.parametrize("command", ["score", "train", "report"])
def test_a_folder_that_is_missing_is_told_at_once(
    command: str, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after the work."""
    monkeypatch.setattr("safegen.risk.combine.reduce", None)  # nothing is scored
    out = str(tmp_path / "no" / "x")
    given = ["--prompts", files[0]] if command == "score" else files
    with pytest.raises(OutputError, match="there is no folder"):
        run(command, *given, "--out", out)


def test_too_few_to_learn_from(tmp_path: Path) -> None:
    """Parts of the head are joined on prompts they have not seen, of which there must be some."""
    (tmp_path / "two.csv").write_text("prompt,risk\na storm,1\na storm 5,0\n")
    with pytest.raises(InputError, match="too few"):
        run("train", str(tmp_path / "two.csv"), "--out", str(tmp_path / "head"))
