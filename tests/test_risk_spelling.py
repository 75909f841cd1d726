"""Words that are none are read as the words of lists that they were meant as."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safegen.policy import Policy
from safegen.risk import TermClassifier, TermList
from safegen.risk.spelling import Spelling, Word

LISTS = {
    "weapon": TermList(
        kind="score", terms=("knife", "gun", "weapon", "hunting rifle", "sword", "pistol")
    ),
    "job": TermList(kind="fact", terms=("detective", "beheading", "samurai")),
}


def found(prompt: str) -> set[tuple[str, str]]:
    """Which lists were found in a prompt, and the words of it that gave them."""
    spans = TermClassifier(LISTS)([prompt])[0].spans
    return {(span.name, prompt[span.start : span.end]) for span in spans}


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a detec tive in the rain", "detec tive"),
        ("a de tec tive", "de tec tive"),
        ("a knif e", "knif e"),
        ("a gu n", "gu n"),
        ("a huntin g rifl e", "huntin g rifl e"),
    ],
)
def test_parts_of_words_are_put_together(prompt: str, words: str) -> None:
    """Also more than two parts, and words of a phrase; the span covers all parts."""
    assert words in {text for _, text in found(prompt)}


def test_words_run_together_are_read_as_two() -> None:
    """Where both are terms, or one together; each keeps the letters that it was read from."""
    assert found("a samuraisword on a stand") == {("job", "samurai"), ("weapon", "sword")}
    assert found("a huntingrifle") == {("weapon", "huntingrifle")}
    assert found("a swordlamp and a gunther") == set()
    assert found("a huntingsword") == set()  # "hunting" alone is no term


def test_two_words_of_single_letters_are_read_as_two() -> None:
    """Nothing parts them once the gaps between the letters are gone."""
    assert found("s a m u r a i s w o r d") == {
        ("job", "s a m u r a i"),
        ("weapon", "s w o r d"),
    }


@pytest.mark.parametrize(
    "prompt",
    ["a knnife", "a kinfe", "a gunn", "two wepons", "a weaponn", "a huntimg rifle", "a p1sto1",
     "pist0ll", "p!stol", "a huntting rifel", "wea pons"],
)  # fmt: skip
def test_slips_are_read_as_meant(prompt: str) -> None:
    """A letter doubled, swapped, missing, too many or wrong; also in a phrase."""
    assert {name for name, _ in found(prompt)} == {"weapon"}


@pytest.mark.parametrize(
    "prompt",
    ["a defective lamp", "they will be heading north", "the king's word", "begun", "a gum tree",
     "a gunsmith", "a painting by Kinkade", "Gunnar", "seoul", "a knit cap", "нож ик"],
)  # fmt: skip
def test_words_of_their_own_are_not(prompt: str) -> None:
    """English words stay what they are, alone and side by side; so do names, and other scripts."""
    assert found(prompt) == set()


def test_a_misspelt_word_can_be_ruled_out_or_excepted() -> None:
    """What was meant is read as if it had been written."""
    assert found("a detective without a kinfe") == {
        ("negated_weapon", "kinfe"),
        ("job", "detective"),
    }
    lists = {"weapon": TermList(kind="score", terms=("knife",), except_in=("kinfe art",))}
    assert TermClassifier(lists)(["kinfe art"])[0].values == {"weapon": 0.0}


@pytest.mark.parametrize(
    "prompt",
    ["Tim Gunn at a fashion show", "a portrait of Anna Gunn, red carpet", "Mr. Kinfe the baker",
     "a man named Gunn in a garden", "J. Gunn teaching physics", "the old houses of Gunn Street"],
)  # fmt: skip
def test_names_are_spelled_as_they_are(prompt: str) -> None:
    """A capital beside another, or after a title, in a text where capitals are few."""
    assert found(prompt) == set()
    assert found(prompt.lower()) != set()


@pytest.mark.parametrize(
    "prompt",
    ["A Man With A Gunn", "A Man Holding a Gunn in His Hand", "A GUNN ON A TABLE",
     "a man with a Gunn", "A Gunn on a table", "a man. Gunn in his hand", "Tim with a gunn",
     "Tim GUNN at a fashion show", "Tim Gun at a fashion show", "Tim Kn ife at a fashion show"],
)  # fmt: skip
def test_capitals_alone_make_no_name(prompt: str) -> None:
    """Titles, all capitals, a capital by itself; and what is spelled like a term is one."""
    assert {name for name, _ in found(prompt)} == {"weapon"}


def test_parts_across_a_mark_stay_apart() -> None:
    """A comma or a full stop ends a word."""
    assert found("an old detec, tive is a name") == set()


@pytest.mark.parametrize(
    ("prompt", "weapon"),
    [
        ("mit der pistola in der Hand", 0.0),  # another language, which the lists do not speak
        ("a man with a pistola", 1.0),
        ("krenz cushart, wlop, artgerm, a man with a pistola, loish", 1.0),
        ("xq zwv kinfe blorp", 0.0),
        ("kinfe wepon", 1.0),
    ],
)
def test_text_in_other_languages_is_left_alone(prompt: str, weapon: float) -> None:
    """Words that are near a term are words of their own there; names elsewhere do not matter."""
    assert TermClassifier(LISTS)([prompt])[0].values["weapon"] == weapon


def test_exact_lists_and_words_that_excuse_are_not_mended_towards() -> None:
    """What a prompt may pass on must be written; names can be kept from having neighbours."""
    lists = {
        "drink": TermList(kind="score", terms=("vodka",), rules_out=("sober",)),
        "brand": TermList(kind="fact", terms=("absolut", "smirnoff"), exact=True),
    }
    [found] = TermClassifier(lists)(["a man with smirnof and voddka, sobre"])
    assert found.values == {"drink": 1.0}
    assert found.facts == {"brand": False, "negated_brand": False, "negated_drink": False}


def test_exact_lists_do_not_find_what_is_mended_towards_another() -> None:
    """That one list may read "macarons" as a slip says nothing of the list that may not."""
    lists = {
        "person": TermList(kind="fact", terms=("emmanuel macron",)),
        "surname": TermList(kind="fact", terms=("macron",), exact=True),
    }
    slip, cake = TermClassifier(lists)(["a photo of emmanuel macrn", "a plate of macarons"])
    assert (slip.facts["person"], slip.facts["surname"]) == (True, False)
    assert (cake.facts["person"], cake.facts["surname"]) == (False, False)


@pytest.mark.parametrize(
    ("prompt", "is_child"),
    [
        ("a portrait of Nina Hagen on a stage", False),
        ("my wife Nina at the pool", False),
        ("a woman called Nina on a bike", False),
        ("Niña Hagen at the pool", True),
        ("nina at the pool", True),
        ("Nina at the pool", True),
        ("A Nina at the pool", True),
        ("Nina Desnuda at the pool", True),
        ("NINA HAGEN", True),
        ("Nina Hagen On A Stage", True),
    ],
)
def test_accented_terms_of_exact_lists_are_no_first_names(prompt: str, is_child: bool) -> None:
    """Where they lost their accent they count, unless all says that a name is meant."""
    lists = {
        "child": TermList(kind="fact", terms=("niña",), exact=True),
        "nude": TermList(kind="score", terms=("desnuda",), exact=True),
    }
    assert TermClassifier(lists)([prompt])[0].facts["child"] is is_child


def test_no_prompt_takes_long_to_mend() -> None:
    """Slips are looked for as far as text encoders read; what is spelled right counts anywhere."""
    assert found("blue sky, " * 250 + "a kinfe") == {("weapon", "kinfe")}
    assert found("blue sky, " * 350 + "a kinfe") == set()
    assert found("blue sky, " * 350 + "a knife") == {("weapon", "knife")}


def test_nothing_to_mend() -> None:
    """Words come back as they were."""
    words = [Word("a", 0, 1), Word("knife", 2, 7)]
    assert Spelling({("knife",)}).mended(words, [True]) == words
    assert Spelling(()).mended([Word("xqzw", 0, 4)], []) == [Word("xqzw", 0, 4)]
    assert Spelling({("knife",)}).mended([], []) == []


@given(st.text(alphabet="abdeinfkpu '", max_size=60))
def test_what_is_written_right_is_still_found(text: str) -> None:
    """Whatever stands around it, mended or not."""
    assert ("weapon", "sword") in found(f"{text}. a sword. {text}")


def test_the_default_policy_reads_split_and_misspelt_words() -> None:
    """Scores and facts alike."""
    scores = Policy.load("default").classify(["a portrait of a teeenager with a wepaon"])[0]
    assert scores.values["weapon"] == 1.0
    assert scores.facts["minor"] is True


def test_counts_are_no_slips() -> None:
    """A count is not mended, while a digit that stands for a letter is still read as that."""
    gore = TermClassifier({"gore": TermList(kind="score", terms=("impale", "glock"))})

    assert gore(["1male, doctor"])[0].values == {"gore": 0.0}
    assert gore(["1mpale him"])[0].values == {"gore": 1.0}
    assert gore(["a 9lock"])[0].values == {"gore": 1.0}
