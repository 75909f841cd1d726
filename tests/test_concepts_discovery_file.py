"""Concept files: what they may say, and where a mistake stands."""

from importlib.resources import files
from pathlib import Path

import pytest

from safegen.concepts.discovery.file import Concepts, load_concepts
from safegen.errors import InputError

GOOD = """\
words: {job: [doctor, cook]}
held_out: {job: [pilot]}
unrelated: ["a photo of a cat"]
groups: {gender: [woman, man]}
concepts:
  woman:
    pairs: [{neutral: "a {job}", target: ["a woman {job}", "a female {job}"]}]
  man:
    pairs: [{neutral: "a {job}", target: "a man {job}"}]
  no-hat:
    pairs: [{neutral: "a {job}", target: "a {job}", avoid: "a {job} with a hat"}]
    held_out: [{neutral: "a guard", target: "a guard", avoid: "a guard with a hat"}]
"""


def load(text: str, folder: Path) -> Concepts:
    """The concepts of a file with this text."""
    path = folder / "concepts.yaml"
    path.write_text(text)
    return load_concepts(path)


def test_pairs_are_filled_and_multiplied(tmp_path: Path) -> None:
    """Every text with every word; held-out words only in the pairs to measure on."""
    concepts = load(GOOD, tmp_path)
    woman = concepts.specs["woman"]

    assert [pair.target for pair in woman.pairs] == [
        *("a woman doctor", "a woman cook"),
        *("a female doctor", "a female cook"),
    ]
    assert [pair.neutral for pair in woman.held_out] == ["a pilot", "a pilot"]
    assert concepts.specs["no-hat"].held_out[0].avoid == "a guard with a hat"
    assert woman.unrelated == ("a photo of a cat",)


def test_a_group_is_one_unit(tmp_path: Path) -> None:
    """Asked for one of a group, the others are learned along with it."""
    units = load(GOOD, tmp_path).units(["no-hat", "man"])

    assert [[spec.name for spec in unit] for unit in units] == [["no-hat"], ["woman", "man"]]


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("a female {job}", "a female {jib}", "7:.*unknown placeholder {jib}"),
        ("a female {job}", "a female {job", "7:.*expected '}'"),
        ("words: {job: [doctor, cook]}", "words: {job: []}", "1:.*words.job is empty"),
        ("[pilot]", "[cook]", "2:18: 'cook' is among"),
        ("held_out: {job: ", "held_out: {jobs: ", "2:.*no counterpart"),
        ("[woman, man]", "[woman, men]", "4:26: the group gender has no concept 'men'"),
        ("[woman, man]", "[woman]", "4:.*fewer than two"),
        ('"a man {job}"', '"a {job}"', "9:.*neutral and target are the same"),
        ("    held_out", "    heldout", "12:.*unknown key 'heldout'"),
        ('["a woman {job}", "a female {job}"]', "[]", "7:.*at least 1 item"),
        ("  man:\n", "  ../man:\n", "8:.*the name does not fit"),
        ("concepts:", "concept:", "5:1: unknown key 'concept'"),
        ("a female {job}", "a female {job.title}", "7:.*unknown placeholder {job.title}"),
        ("a female {job}", "a female {job:d}", "7:.*says how to write it"),
        ("a female {job}", "a female {job!r}", "7:.*says how to write it"),
        ("a female {job}", "a female {0}", "7:.*unknown placeholder {0}"),
        ("a female {job}", "a female {}", "7:.*unknown placeholder {}"),
        ("words: {job: ", "words: {job.title: [x], job: ", "1:.*the name does not fit"),
        ("words: {job: ", 'words: {"0": [x], job: ', "1:.*the name does not fit"),
        ('"a photo of a cat"', '"a photo of a {job}"', "3:13: .*braces"),
        ("  woman:\n", "  woman:\n    guidance: .inf\n", "7:.*finite"),
        ("  woman:\n", "  woman:\n    guidance: .nan\n", "7:.*finite|greater"),
        ('"a man {job}"', '"  "', "9:.*target.*: expected words, got only blanks"),
        ('{neutral: "a {job}", target: "a man', '{neutral: "\\t", target: "a man', "9:.*blanks"),
        ('["a photo of a cat"]', '[" "]', "3:13: unrelated.0: expected words, got only blanks"),
        ("[doctor, cook]", '[doctor, " "]', "1:.*words.job.1: expected words"),
        ("  man:\n", "  Woman:\n", "8:3: 'Woman' and 'woman' are one file"),
        ("  no-hat:\n", "  con:\n", "10:3: 'con' is a name that Windows"),
        ("  no-hat:\n", "  Lpt1.x:\n", "10:3: 'Lpt1.x' is a name that Windows"),
        ("a {job} with a hat", "a {job}", "11:.*target and avoid are the same, 'a doctor'"),
        ('"a man {job}"', '["a man", "a cook"]', "9:.*neutral and target are the same, 'a cook'"),
        (
            '{neutral: "a guard", target: "a guard", avoid: "a guard with a hat"}',
            '{neutral: "a cook", target: "a cook", avoid: "a cook with a hat"}',
            "12:.*'a cook' is learned from too",
        ),
        ("concepts:", "concepts: [", "not|expected"),
    ],
)
def test_mistakes_say_where_they_stand(right: str, wrong: str, told: str, tmp_path: Path) -> None:
    """With the file, the line, and what is wrong."""
    assert GOOD.count(right) >= 1
    with pytest.raises(InputError, match=told):
        load(GOOD.replace(right, wrong, 1), tmp_path)


def test_near_names_are_offered(tmp_path: Path) -> None:
    """A placeholder with a slip of the pen gets the right one as its mend."""
    with pytest.raises(InputError, match="did you mean job"):
        load(GOOD.replace("{job}", "{joob}", 1), tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """As an error that can be mended."""
    with pytest.raises(InputError, match="cannot read"):
        load_concepts(tmp_path / "none.yaml")


def test_the_shipped_concepts_are_well_formed() -> None:
    """All eight load, and have prompts to measure on that none of them learns from."""
    concepts = load_concepts(Path(str(files("safegen.reference") / "concepts.yaml")))

    assert len(concepts.specs) == 8
    for spec in concepts.specs.values():
        assert spec.held_out
        assert not set(spec.held_out) & set(spec.pairs)


def test_words_that_make_the_same_text_are_told(tmp_path: Path) -> None:
    """Of two lists with a word in common, once they are filled in."""
    text = "words: {a: [cook], b: [pilot, cook]}\nconcepts:\n  x:\n    pairs:\n"
    with pytest.raises(InputError, match=r"5:.*neutral and target are the same, 'a cook'"):
        load(text + '      - {neutral: "a {a}", target: "a {b}"}', tmp_path)
