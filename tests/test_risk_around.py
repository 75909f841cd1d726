"""What stands around a term: whether a word for people is about somebody who is shown."""

from itertools import chain

import pytest
from packs import loaded

from safegen import Policy
from safegen.errors import PolicyError
from safegen.risk import TermClassifier, TermList
from safegen.risk.lists import expanded, forms_of

LISTS = {
    "job": TermList(
        kind="fact",
        terms=("cook", "nurse", "pilot", "troops"),
        several=("troops",),
        people=True,
        except_before=("shark", "tray", "the"),
        except_after=("vacuum",),
    ),
    "origin": TermList(
        kind="fact", terms=("dark skin",), of_people=("german", "korean", "from ghana")
    ),
}


def _facts(prompt: str) -> set[str]:
    [scores] = TermClassifier(LISTS)([prompt])
    return {name for name, holds in scores.facts.items() if holds}


@pytest.mark.parametrize(
    ("prompt", "facts"),
    [
        ("a nurse", {"job", "one_job"}),
        ("nurses", {"job"}),
        ("troops", {"job"}),
        ("nurses and a cook", {"job", "one_job"}),
        ("no nurse", {"negated_job"}),
        ("a nurse shark", set()),
        ("a nurse carries the tray", {"job", "one_job"}),
        ("a nurse trays the cups", {"job", "one_job"}),
        ("a vacuum cook", set()),
        ("cook the rice", set()),
        ("a nurse's coat", set()),
        ("nurses' coats", set()),
        ("a nurse's hands", {"job", "one_job"}),
        ("a nurse's waiting room", set()),
        ("the nurse's training building", set()),
        ("a cook's cutting board", set()),
        ("a cook's drawing of a bridge", set()),
        ("the cook's drawing a bridge", {"job", "one_job"}),
        ("the cook's dreaming of a beach", {"job", "one_job"}),
        ("the nurse's smiling at a child", {"job", "one_job"}),
        ("the cook's washing plates", {"job", "one_job"}),
        ("Siobhan Cook on a stage", set()),
        ("Siobhan cook on a stage", {"job", "one_job"}),
        ("Beautiful Cook on a stage", {"job", "one_job"}),
        ("Siobhan Cook", {"job", "one_job"}),  # all words have a capital: they tell nothing
        ("Steampunk Pilot in the sky", {"job", "one_job"}),
    ],
)
def test_a_word_for_people_counts_where_somebody_is_shown(prompt: str, facts: set[str]) -> None:
    """Owners, things and surnames are nobody at work, and a plural is not one person."""
    assert _facts(prompt) == facts


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a german nurse", True),
        ("a nurse, german, at work", True),
        ("a nurse who is german", True),
        ("a nurse german beautiful light", True),
        ("a nurse of korean descent", True),
        ("a nurse with a german pilot", True),
        ("a german car", True),  # nobody else is there of whom it could be open
        ("a nurse in a german car", False),
        ("a german car with a nurse", False),
        ("a nurse learning korean", False),
        ("a nurse with dark skin", True),
        ("a nurse from ghana", True),
        ("a nurse, originally from ghana", True),
        ("a nurse who comes from ghana", True),
        ("a nurse named ama from ghana", True),
        ("a nurse, 40 years old, from ghana", True),
        ("a fabric from ghana", True),
        ("a nurse with a fabric from ghana", False),
        ("a nurse in a coat from ghana", False),
    ],
)
def test_an_origin_is_said_of_somebody_or_of_a_thing(prompt: str, said: bool) -> None:
    """A word of `of_people` counts unless a thing has it, and somebody stands beside that."""
    assert ("origin" in _facts(prompt)) is said


@pytest.mark.parametrize("name", ["blade", "big_blade"])
def test_beside_every_blade_of_the_default_an_owner_counts(name: str) -> None:
    """What the default policy knows as one, somebody's thing may be stuck with."""
    who = TermList(kind="score", people=True, terms=("teacher",), except_before=("chair",))
    classify = TermClassifier({"who": who})
    lists = loaded("default").file.lists
    written = chain.from_iterable(expanded(lists, lists[name].terms))
    blades = [form for term in written for form in forms_of(term)]
    found = classify([f"{each} stuck in the chair of a teacher" for each in blades])

    assert [
        each for each, scores in zip(blades, found, strict=True) if not scores.values["who"]
    ] == []
    assert classify(["a pin stuck in the chair of a teacher"])[0].values["who"] == 0.0


def test_another_list_names_all_words() -> None:
    """`{other}` stands for the words of `of_people` too."""
    more = {**LISTS, "x": TermList(kind="score", terms=("{origin} flag",))}
    [scores] = TermClassifier(more)(["a german flag"])

    assert scores.values["x"] == 1.0


@pytest.mark.parametrize(
    ("one", "several", "prompt"),
    [
        ("女人", "女人们", "女人们在公园里"),
        ("महिला", "महिलाएं", "महिलाएं बाज़ार में"),
        ("ผู้หญิง", "พวกผู้หญิง", "พวกผู้หญิง ในสวน"),
        ("👩", "👯", "👯 in a park"),
    ],
    ids=["Chinese", "Hindi", "Thai", "emoji"],
)
def test_several_are_not_one_in_any_script(one: str, several: str, prompt: str) -> None:
    """What stands in a prompt is taken apart as the list is that it is looked up in."""
    who = TermList(kind="score", people=True, terms=(one, several), several=(several,))
    scores = TermClassifier({"who": who})([prompt, one])

    assert [each.facts["one_who"] for each in scores] == [False, True]


def test_a_long_word_of_letters_and_marks_is_read_in_no_time() -> None:
    """Each of its letters could be read in two ways, which never ends where all are tried."""
    who = TermList(kind="score", terms=("महिला",), except_after=("गुड़िया",))
    [scores] = TermClassifier({"who": who})([f"{'क' * 36}! महिला"])

    assert scores.values["who"] == 1.0


def test_one_within_a_longer_term_is_not_one_by_itself() -> None:
    """A term is not meant alone where a longer one of its list stands there and means several."""
    who = TermList(kind="score", people=True, terms=("nurse", "nurse practitioner"))
    scores = TermClassifier({"who": who})(["nurse practitioners", "a nurse practitioner"])

    assert [each.facts["one_who"] for each in scores] == [False, True]


def test_an_exception_beside_a_term_is_written_in_any_script() -> None:
    """A word that is written with marks is read whole."""
    who = TermList(kind="score", terms=("महिला",), except_before=("मूर्ति",), except_after=("गुड़िया",))
    scores = TermClassifier({"who": who})(["महिला मूर्ति", "गुड़िया महिला", "महिला बाज़ार में"])

    assert [each.values["who"] for each in scores] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("prompt", ["a photo by 👮", "👮 in a park"])
def test_an_emoji_may_name_people(prompt: str) -> None:
    """A term without letters is looked at like any other."""
    who = TermList(kind="score", people=True, terms=("👮",))
    [scores] = TermClassifier({"who": who})([prompt])

    assert scores.values["who"] == 1.0


def test_an_emoji_says_nothing_of_who_is_who() -> None:
    """Between somebody and an origin it makes no thing of either."""
    assert "origin" in _facts("a nurse 🙂 from ghana")


def test_a_list_without_people_has_the_digest_of_before() -> None:
    """What a list does not use leaves what it enters the classifier's digest with."""
    assert TermList(kind="fact", terms=("a",)).told() == {
        "kind": "fact",
        "terms": ["a"],
        "rules_out": [],
        "except_in": [],
        "exact": False,
    }


def test_a_fact_has_one_meaning() -> None:
    """A list cannot be called what the singular of another is called."""
    text = (
        "apiVersion: safegen/v1\n"
        'metadata: {name: x, version: "1", owner: x}\n'
        "lists:\n"
        "  job: {kind: fact, people: true, terms: [cook]}\n"
        "  one_job: {kind: fact, terms: [nurse]}\n"
        "rules: [{id: a, when: fact.one_job, then: {negative_prompt: x}}]\n"
    )
    with pytest.raises(PolicyError, match="one_job"):
        Policy(text)


def test_names_of_an_artist_do_not_count() -> None:
    """A list of names leaves out who is named for the style, and another list does not."""
    for names in (True, False):
        lists = {"name": TermList(kind="fact", terms=("greg",), names=names)}
        found = TermClassifier(lists)(["a barn in the style of greg", "greg in a barn"])
        assert [scores.facts["name"] for scores in found] == [not names, True]


def test_a_list_that_is_not_of_names_keeps_its_digest() -> None:
    """What is not used is not told."""
    assert "names" not in TermList(kind="fact", terms=("greg",)).told()
    assert TermList(kind="fact", terms=("greg",), names=True).told()["names"] is True
