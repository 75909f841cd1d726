"""Files of prompts: every known spelling of a column, and mistakes with file and line."""

from pathlib import Path

import pytest

from safegen.errors import InputError
from safegen.evaluation.prompts import read_captions, read_occupations, read_unsafe
from safegen.evaluation.worlds import Harmless, Unsafe


def write(folder: Path, name: str, text: str) -> Path:
    """A file with that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("head", "cells", "expected"),
    [
        (  # I2P, as published
            "prompt,categories,hard,inappropriate_percentage,sd_seed,sd_guidance_scale,sd_model",
            'a fog,"violence, shocking",1,70.0,4080709695,9.5,sd-1.4',
            Unsafe("a fog", "nudity", 4080709695, 9.5, categories=("violence", "shocking")),
        ),
        (  # I2P in UCE's tree, UnlearnDiffAtk and P4D
            "case_number,prompt,categories,evaluation_seed,evaluation_guidance",
            "7,a fog,violence,12,7",
            Unsafe("a fog", "nudity", 12, 7.0, categories=("violence",)),
        ),
        ("prompt,case_number,evaluation_seed", "a fog,3,41", Unsafe("a fog", "nudity", 41)),
        (  # MMA-Diffusion
            "target_prompt,adv_prompt,sanitized_adv_prompt,clean_prompt",
            "a,b,c,d",
            Unsafe("b", "nudity"),
        ),
        ("Prompt,Seed,Guidance", "a fog,0,1", Unsafe("a fog", "nudity", 0, 1.0)),
    ],
)
def test_columns_are_found(tmp_path: Path, head: str, cells: str, expected: Unsafe) -> None:
    """Prompt, categories, seed and guidance are read from the columns of the published files."""
    path = write(tmp_path, "prompts.csv", f"{head}\n{cells}\n")
    assert read_unsafe(path, "nudity") == [expected]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("text,seed\na fog,1\n", r"prompts.csv:1: expected a column .*prompt.*, found text, seed"),
        ("", "found none"),
        ("prompt\n", "no line below its head"),
        ("prompt,seed\na fog,1\na bog,1.5\n", r"prompts.csv:3: expected an integer .*, got '1.5'"),
        ("prompt,seed\na fog,-1\n", r"prompts.csv:2: .*, got '-1'"),
        ("prompt,seed\na fog,\n", r"prompts.csv:2: .* column 'seed', got ''"),
        ("prompt,seed\na fog,999999999999999\n", "an integer from 0 to"),
        ('prompt,guidance\n"a\nfog",7\na bog,0\n', r"prompts.csv:4: .* from 1 to 1000 .*, got '0'"),
        ("prompt,guidance\na fog,1001\n", "got '1001'"),
        ("prompt,guidance\na fog,nan\n", "got 'nan'"),
        ("prompt,Prompt \na fog,a bog\n", r"csv:1: expected one column 'prompt', .* blanks"),
        ("seed,prompt,seed\n1,a fog,2\n", r"prompts.csv:1: expected one column 'seed', found 2"),
        ("prompt,seed\n  ,1\n", r"prompts.csv:2: the column 'prompt' is empty"),
        ("prompt,seed\na fog, grey,1\n", r"prompts.csv:2: expected 2 cells, .*got more"),
    ],
)
def test_mistakes_are_located(tmp_path: Path, text: str, told: str) -> None:
    """A column or a cell that cannot be used is an error with file and line, and how to mend it."""
    path = write(tmp_path, "prompts.csv", text)
    with pytest.raises(InputError, match=told) as raised:
        read_unsafe(path, "nudity")
    assert raised.value.mend


def test_unreadable_files_are_errors(tmp_path: Path) -> None:
    """A file that is missing, and one that is no text, are told by name."""
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"prompt\n\xff\xfe\n")
    for path in (tmp_path / "nowhere.csv", binary, tmp_path):
        with pytest.raises(InputError, match=path.name):
            read_captions(path)


def test_captions_have_seeds(tmp_path: Path) -> None:
    """Captions come as in COCO's files, with their seeds or without."""
    path = write(tmp_path, "a.csv", "case_number,prompt,evaluation_seed\n1,a sink,78978\n")
    assert read_captions(path) == [Harmless("a sink", 78978)]
    path = write(tmp_path, "b.csv", "caption\na car\n")
    assert read_captions(path) == [Harmless("a car")]


def test_occupations_come_from_lists_and_tables(tmp_path: Path) -> None:
    """One a line, with comments; the first column of a table; a column of a CSV file."""
    plain = write(tmp_path, "a.txt", "# mine\nBaker\n\nflight attendant  # twice\nbaker\n")
    table = write(tmp_path, "b.txt", "Occupation    LAION\naerospace engineer    1381\n")
    csv = write(tmp_path, "c.csv", "profession,count\nBaker,3\n")
    assert read_occupations(plain) == ["baker", "flight attendant"]
    assert read_occupations(table) == ["aerospace engineer"]
    assert read_occupations(csv) == ["baker"]
    with pytest.raises(InputError, match="names no occupation"):
        read_occupations(write(tmp_path, "d.txt", "# none\n"))
