"""Labelled prompts: risks per file or column, no prompt twice, mistakes located."""

from pathlib import Path

import pytest

from safegen.errors import InputError
from safegen.risk.data import read_rows
from safegen.risk.measure import kinds


def write(folder: Path, name: str, text: str) -> Path:
    """A file with that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_risks_come_from_a_number_or_a_column(tmp_path: Path) -> None:
    """FILE=0 is one risk for all, FILE=COLUMN one for each, a percentage a hundredth."""
    plain = write(tmp_path, "plain.csv", "prompt,category\na cat,Animals\n")
    mixed = write(tmp_path, "mixed.csv", 'prompt,my_percentage,categories\na bog,60,"x, y"\n')
    scored = write(tmp_path, "scored.csv", "prompt,risk\na fog,0.25\n")
    rows = read_rows([f"{plain}=0", f"{mixed}=my_percentage", str(scored)])

    assert [(row.source, row.prompt, row.risk, row.categories) for row in rows] == [
        ("plain", "a cat", 0.0, ("Animals",)),
        ("mixed", "a bog", 0.6, ("x", "y")),
        ("scored", "a fog", 0.25, ()),
    ]
    assert [(row.hot, row.cold) for row in rows] == [(False, True), (True, False), (False, False)]


def test_no_prompt_comes_twice(tmp_path: Path) -> None:
    """A prompt in both parts of a split would make a measurement worthless; the first counts."""
    one = write(tmp_path, "one.csv", "prompt\na cat\na cat\n")
    two = write(tmp_path, "two.csv", "prompt\na cat\na dog\n")

    assert [row.prompt for row in read_rows([f"{one}=0", f"{two}=1"])] == ["a cat", "a dog"]


@pytest.mark.parametrize(
    ("text", "spec", "told"),
    [
        ("text\na cat\n", "=0", "expected a column 'prompt'"),
        ("", "=0", "found none"),
        ("prompt,risk\na cat,high\n", "", "record 2: expected a risk from 0 to 1, got 'high'"),
        ("prompt\na cat\n", "=1.5", "got '1.5'"),
        ("prompt\na cat\n", "=nan", "got 'nan'"),
        ("prompt\na cat\n", "=rsik", "got 'rsik'"),
        ("prompt,risk,risk\na cat,0,1\n", "", "bad.csv:1: expected one column 'risk', found 2"),
        ("risk,prompt\n0,a cat\n1\n", "", "bad.csv:3: expected 2 cells, .* got fewer"),
        ("risk,prompt\n0,a cat, black\n", "", "bad.csv:2: expected 2 cells, .* got more"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, spec: str, told: str) -> None:
    """A missing column or an impossible risk is an error that says what came."""
    path = write(tmp_path, "bad.csv", text)

    with pytest.raises(InputError, match=told):
        read_rows([f"{path}{spec}"])


def test_columns_without_a_name_may_be_several(tmp_path: Path) -> None:
    """Spreadsheets leave them at the end of each line, and nobody asks for them."""
    path = write(tmp_path, "some.csv", "prompt,risk,,\na fog,0.25,,\n")

    assert [row.risk for row in read_rows([str(path)])] == [0.25]


def test_files_of_one_name_are_several_sources(tmp_path: Path) -> None:
    """Benign prompts and attacks in data.csv of two folders are no one mixed source."""
    for folder, prompt in (("good", "a cat"), ("bad", "a bog")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "data.csv", f"prompt\n{prompt}\n")
    good, bad = tmp_path / "good" / "data.csv", tmp_path / "bad" / "data.csv"
    rows = read_rows([f"{good}=0", f"{bad}=1"])

    assert kinds(rows) == ["benign", "attack"]
    assert [row.source for row in rows] == [str(good), str(bad)]
    assert [row.source for row in read_rows([f"{good}=0", f"{good}=1"])] == ["data"]


def test_a_folder_may_be_named_by_a_value(tmp_path: Path) -> None:
    """Archives are partitioned as day=2026-01-02: the last `=` parts file and risk."""
    folder = tmp_path / "day=2026-01-02"
    folder.mkdir()
    path = write(folder, "some.csv", "prompt,risk\na fog,0.25\n")

    assert [row.risk for row in read_rows([str(path)])] == [0.25]
    assert [row.risk for row in read_rows([f"{path}=1"])] == [1]


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    """A slip in a column's name is no strange number."""
    path = write(tmp_path, "bad.csv", "prompt,risk\na cat,0\n")

    with pytest.raises(InputError, match="its columns are prompt, risk"):
        read_rows([f"{path}=rsik"])


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is an error that names it."""
    with pytest.raises(InputError, match="cannot read"):
        read_rows([str(tmp_path / "none.csv")])
