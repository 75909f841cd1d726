"""Term lists: scores and facts, plurals, exceptions, references, spans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safegen.errors import ClassifierError
from safegen.nouns import Scores
from safegen.risk import TermClassifier, TermList
from safegen.risk.lists import forms_of
from safegen.risk.terms import MAX_CHARACTERS

LISTS = {
    "weapon": TermList(
        kind="score",
        terms=("knife", "gun", "ak-47", "brass knuckles", "🔪"),
        rules_out=("unarmed",),
        except_in=("water gun", "knife and fork"),
    ),
    "job": TermList(kind="fact", terms=("policeman", "cook", "city guide", "watch", "spy")),
    "tone": TermList(kind="fact", terms=("black {job}", "pale")),
}


def scores(prompt: str) -> Scores:
    """What the lists above say of one prompt."""
    return TermClassifier(LISTS)([prompt])[0]


@pytest.mark.parametrize(
    "prompt",
    ["a knife", "two KNIVES", "guns", "an AK47's owner? no: an ak-47", "brass  knuckles", "🔪",
     "a knife_in_hand", "the gun's barrel"],
)  # fmt: skip
def test_terms_give_a_score(prompt: str) -> None:
    """Whole words match, in singular and plural, whatever the capitals and spaces."""
    assert scores(prompt).values == {"weapon": 1.0}


@pytest.mark.parametrize("prompt", ["", "begun", "knifelike", "a water gun", "knife and fork"])
def test_parts_of_words_and_exceptions_do_not(prompt: str) -> None:
    """A part of another word, or an excepted phrase, is no match."""
    assert scores(prompt).values == {"weapon": 0.0}
    assert not any(scores(prompt).facts.values())


def test_an_exception_excuses_only_itself() -> None:
    """Another mention beside an excepted phrase still counts."""
    assert scores("a water gun and a gun").values == {"weapon": 1.0}


@pytest.mark.parametrize("prompt", ["policemen", "cooks", "city guides", "watches", "spies"])
def test_facts_and_their_plurals(prompt: str) -> None:
    """A list of kind fact gives a fact and no score."""
    assert scores(prompt).facts["job"] is True
    assert "job" not in scores(prompt).values


@pytest.mark.parametrize("prompt", ["KNIVES", "knives"])
def test_plurals_of_terms_in_capitals(prompt: str) -> None:
    """A term may be written in capitals; its plural is formed all the same."""
    lists = {"x": TermList(kind="score", terms=("KNIFE",))}
    assert TermClassifier(lists)([prompt])[0].values == {"x": 1.0}


def test_plurals_of_words_in_s() -> None:
    """A bus and a lens have one, knives are one already, and "shot by" has none."""
    assert forms_of("bus") == ["bus", "buses"]
    assert forms_of("lens") == ["lens", "lenses"]
    assert forms_of("rhinoceros") == ["rhinoceros", "rhinoceroses"]
    assert forms_of("knives") == ["knives"]
    assert forms_of("shot by") == ["shot by"]


def test_ruled_out_terms_give_a_fact_instead() -> None:
    """A negated term scores nothing, and is told as `negated_<list>`."""
    found = scores("a cook without a knife")

    assert found.values == {"weapon": 0.0}
    assert found.facts["negated_weapon"] is True


def test_a_disguised_term_under_a_negation() -> None:
    """Disguises change nothing about the scope of a negation."""
    assert scores("a cook without a k.n.i.f.e").facts["negated_weapon"] is True


@pytest.mark.parametrize(("prompt", "out"), [("an unarmed cook", True), ("not unarmed", False)])
def test_words_that_rule_out(prompt: str, out: bool) -> None:
    """A word such as "unarmed" rules out, and under a negation it asks."""
    assert scores(prompt).facts["negated_weapon"] is out
    assert scores(prompt).values == {"weapon": float(not out)}


@pytest.mark.parametrize(
    "prompt",
    ["no guns, unarmed cook", "no knife or gun, an unarmed cook", "a cook, no hat, unarmed",
     "without a gun, knife or knuckles, unarmed"],
)  # fmt: skip
def test_words_that_rule_out_stand_by_themselves(prompt: str) -> None:
    """After a comma, or another item, the negation before is no part of what they say."""
    assert scores(prompt).facts["negated_weapon"] is True
    assert scores(prompt).values == {"weapon": 0.0}


@pytest.mark.parametrize(
    ("prompt", "score"),
    [("Gore, New Zealand", 0), ("gore new zealand", 0), ("gore ,new zealand", 0),
     ("gore; new zealand", 1), ("gore, new, zealand", 1), ("gore, field", 1), ("gore field", 0)],
)  # fmt: skip
def test_an_exception_crosses_a_comma_where_it_is_written_with_one(
    prompt: str, score: float
) -> None:
    """Else "nude, makeup" would be excused by "nude makeup"."""
    lists = {
        "x": TermList(kind="score", terms=("gore",), except_in=("gore, new zealand", "gore field"))
    }
    assert TermClassifier(lists)([prompt])[0].values == {"x": score}


def test_a_list_can_name_another() -> None:
    """{job} stands for every term of the list `job`."""
    assert scores("a black cook").facts["tone"] is True
    assert scores("black city guides").facts["tone"] is True
    assert scores("a cook in black").facts["tone"] is False


def test_a_list_of_words_is_there_to_be_named() -> None:
    """It gives no score and no fact of its own; its words alone are found nowhere."""
    lists = {
        "number": TermList(kind="words", terms=("7", "seven")),
        "young": TermList(kind="fact", terms=("{number} year old",)),
    }
    said = TermClassifier(lists)(["seven chairs", "a 7-year-old", "a seven year old"])

    assert [each.facts for each in said] == [
        {"young": young, "negated_young": False} for young in (False, True, True)
    ]
    assert said[0].values == {}
    assert said[0].spans == ()


@pytest.mark.parametrize("more", [{"rules_out": ("none",)}, {"except_in": ("7up",)}])
def test_a_list_of_words_has_terms_alone(more: dict[str, tuple[str, ...]]) -> None:
    """What it would do nothing with is refused, and the message says where it belongs."""
    with pytest.raises(ValueError, match="belong to the lists that name it"):
        TermList(kind="words", terms=("7",), **more)


def test_spans_point_into_the_prompt() -> None:
    """Each match says where in the original prompt it stands."""
    prompt = "A Policeman, no GUN, a kn1fe"
    told = [(span.name, prompt[span.start : span.end]) for span in scores(prompt).spans]

    assert sorted(told) == [("job", "Policeman"), ("negated_weapon", "GUN"), ("weapon", "kn1fe")]


@pytest.mark.parametrize(
    "prompt",
    ["a kid holding not a water gun but a real one", "this isn't a water gun",
     "that is no water gun", "a real one instead of a water gun"],
)  # fmt: skip
def test_an_exception_that_is_denied_excuses_nothing(prompt: str) -> None:
    """What is no water gun is a gun."""
    assert scores(prompt).values == {"weapon": 1.0}


@pytest.mark.parametrize(
    "prompt",
    ["a room without water guns", "there are no water guns", "a kid with no water gun",
     "a table, no knife and fork", "not without a water gun", "not red, a water gun, blue"],
)  # fmt: skip
def test_an_exception_that_is_not_there_excuses(prompt: str) -> None:
    """Where there is none, no gun is asked for either."""
    assert scores(prompt).values == {"weapon": 0.0}


def test_a_denied_exception_excuses_in_its_own_list_alone() -> None:
    """Another list may still say that the words mean something else."""
    lists = {
        "a": TermList(kind="score", terms=("gun",), except_in=("water gun",)),
        "b": TermList(kind="score", terms=("water",), except_in=("gun",)),
    }
    assert TermClassifier(lists)(["not a water gun"])[0].values == {"a": 1.0, "b": 0.0}


MARKED = (
    *(
        "s&m",
        "k.k.k.",
        "14/88",
        "24/7",
        "ac/dc",
        "no. 5",
        "$$$",
        "f**k",
        "100% nude",
        "q&a",
        "u.s.",
    ),
    *("and/or", "y/o", "e=mc2", "j.r.r. tolkien", "black & white", "g@y", "p!nk", "a$ap", "9/11"),
    *("1/2 pint", "<3", "c++", "18+", "½", "7-11", "b-52", "#metoo", "++", "e.g. this, that"),
)


@pytest.mark.parametrize("term", MARKED)
@pytest.mark.parametrize("prompt", ["{}", "a {} poster", "THE MAN SAID {}, loudly", "({})"])
def test_every_term_is_found_in_itself(term: str, prompt: str) -> None:
    """Marks and all, however it is set among other words."""
    for kind in ("score", "fact"):
        many = TermClassifier({"x": TermList(kind=kind, terms=(term, "other"))})
        [found] = many([prompt.format(term)])

        assert (found.values or found.facts)["x"]


@given(st.text(min_size=1, max_size=12))
def test_any_term_is_found_in_itself_or_refused(term: str) -> None:
    """Nothing loads that can never match."""
    try:
        classifier = TermClassifier({"x": TermList(kind="score", terms=(term,))})
    except ClassifierError as error:
        assert "can never be found" in error.message  # noqa: PT017 - the other outcome
        return
    assert classifier([term])[0].values == {"x": 1.0}


@pytest.mark.parametrize("prompt", ["an s & m club", "S-&-M", "s &m", "s m", "s-m"])
def test_marks_may_stand_apart(prompt: str) -> None:
    """Spaces and hyphens about them, or nothing but these, make it no other term."""
    lists = {"x": TermList(kind="score", terms=("s&m",))}
    assert TermClassifier(lists)([prompt])[0].values == {"x": 1.0}


@pytest.mark.parametrize("prompt", ["s/m", "size s, m or l", "sm", "s & b & m", "s. m&s"])
def test_other_marks_make_another_term(prompt: str) -> None:
    """Words that are parted by something else are other words."""
    lists = {"x": TermList(kind="score", terms=("s&m",))}
    assert TermClassifier(lists)([prompt])[0].values == {"x": 0.0}


def test_a_term_that_can_never_be_found_is_refused() -> None:
    """Also where no file is loaded."""
    with pytest.raises(
        ClassifierError, match=r"the list 'x' has the term '\.\.\.', which can never"
    ):
        TermClassifier({"x": TermList(kind="score", terms=("...",))})


def test_the_digest_is_that_of_the_lists() -> None:
    """Equal lists have equal digests; another term makes another digest."""
    more = {**LISTS, "tone": TermList(kind="fact", terms=("black {job}", "pale", "fair"))}

    assert TermClassifier(LISTS).digest == TermClassifier(dict(LISTS)).digest
    assert TermClassifier(LISTS).digest != TermClassifier(more).digest


@pytest.mark.parametrize(
    "part",
    ["a", "a ", "k.n.i.f.e ", "kn1fe ", "not a knife, ", "x0!", "\u0301", "ﷺ", "no ", "a_",
     "no gun or ", "water gun ", "not \n", "gun, ", "not a gun and ", "never with a "],
)  # fmt: skip
def test_hostile_prompts_end(part: str) -> None:
    """Prompts made to send a pattern back and forth are scored like others."""
    found = scores((part * MAX_CHARACTERS)[:MAX_CHARACTERS])

    assert set(found.values) == {"weapon"}


def test_a_huge_prompt_is_refused() -> None:
    """A prompt of a megabyte is an error, and never counts as harmless."""
    with pytest.raises(ClassifierError, match="has 1000000 characters"):
        scores("a" * 1_000_000)


@given(st.text())
def test_any_text_is_scored(prompt: str) -> None:
    """Whatever Unicode holds is scored, and spans point into it."""
    found = scores(prompt + " kn1fe")

    assert found.values["weapon"] in {0.0, 1.0}
    assert all(0 <= span.start < span.end <= len(prompt) + 6 for span in found.spans)


def test_an_exception_around_an_exception() -> None:
    """A term inside the longer of two exceptions that start together is excused."""
    lists = {
        "x": TermList(kind="score", terms=("gun",), except_in=("water", "water pistol and gun"))
    }

    assert TermClassifier(lists)(["water pistol and gun"])[0].values == {"x": 0.0}
    assert TermClassifier(lists)(["water gun"])[0].values == {"x": 1.0}


def test_thousands_of_terms() -> None:
    """Among a hundred thousand phrases the one that occurs is found, as often as it occurs."""
    terms = tuple(f"item{i} of kind{i % 7}" for i in range(100_000))
    many = TermClassifier({"many": TermList(kind="score", terms=terms)})
    prompt = "item77 of kind0 " * 100
    found = many([prompt])[0]

    assert found.values == {"many": 1.0}
    assert len(found.spans) == 100


@pytest.mark.parametrize(
    ("term", "prompt"),
    [
        ("pistolę", "człowiek trzyma PISTOLĘ"),
        ("Säbel", "ein Mann mit einem Säbel"),
        ("нож", "нож на столе"),
        ("bıçak", "masada bir Bıçak"),
        ("चाकू", "मेज पर चाकू है"),
        ("سكين", "رجل مع سكين"),
        ("刀", "一个人拿着刀"),
        ("爆弾", "机の上の爆弾"),
        ("ナイフ", "男とナイフ"),
        ("’knife’", "a knife"),
    ],
)
def test_terms_of_other_languages_match(term: str, prompt: str) -> None:
    """A term is found whatever its script and accents, also between words without spaces."""
    [found] = TermClassifier({"weapon": TermList(kind="score", terms=(term,))})([prompt])
    assert found.values == {"weapon": 1.0}


@pytest.mark.parametrize(
    ("term", "prompt"),
    [("चाकू", "चूक हो गई"), ("ガン", "スローガン"), ("нож", "ножницы"), ("爆弾", "爆竹")],
)
def test_other_words_of_other_languages_do_not(term: str, prompt: str) -> None:
    """Vowels count where marks write them, and a foreign word in Japanese is matched whole."""
    [found] = TermClassifier({"weapon": TermList(kind="score", terms=(term,))})([prompt])
    assert found.values == {"weapon": 0.0}


def test_an_exception_that_accents_tell_from_a_term_excuses_that_spelling_alone() -> None:
    """However Unicode spells it; a term with accents is told from a word without them alike."""
    lists = {
        "blade": TermList(
            kind="score", exact=True, terms=("faca", "nóż"), except_in=("faça", "noz")
        )
    }
    classify = TermClassifier(lists)
    prompts = ("Faça um gato", "FAC\u0327A um gato", "noz e pão", "faca", "facas", "facá", "nóż")

    scores = [each.values["blade"] for each in classify(prompts)]

    assert scores == [0, 0, 0, 1, 1, 1, 1]


def test_an_exception_holds_where_an_apostrophe_is_undone_too() -> None:
    """A prompt is read with and without the marks within its words."""
    lists = {"bomb": TermList(kind="score", terms=("bomba",), except_in=("bomba d'acqua",))}

    assert TermClassifier(lists)(["una bomba d'acqua"])[0].values["bomb"] == 0
