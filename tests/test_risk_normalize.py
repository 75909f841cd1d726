"""The view of a prompt that is matched on, and the way back to the prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safegen.risk.normalize import views


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("KNIFE", "knife"),
        ("ｋｎｉｆｅ", "knife"),
        ("𝐤𝐧𝐢𝐟𝐞", "knife"),
        ("kn\u200bi\u00adfe", "knife"),
        ("k\u0301ni\u0308fe", "knife"),
        ("кnіfе", "knife"),
        ("kn1f3", "knife"),
        ("with a k n i f e", "with a knife"),
        ("t o y  g u n", "toy gun"),
        ("a g  u  n", "a gun"),
        ("a 9 u n", "a gun"),
        ("a $ w o r d", "a sword"),
        ("k.n.i.f.e", "knife"),
        ("k. n. i. f. e", "knife"),
        ("k-n-i-f-e in hand", "knife in hand"),
        ("doesn’t", "doesn't"),
        ("k / n / i / f / e", "knife"),
        ("k|n|i|f|e", "knife"),
        ("k·n·i·f·e", "knife"),
        ("🅺🅽🅸🅵🅴", "knife"),
        ("🇰🇳🇮🇫🇪", "knife"),
        ("ᴋɴɪꜰᴇ", "knife"),
        ("ⓚⓝⓘⓕⓔ", "knife"),
        ("ƙnife", "knife"),
        ("b1ood", "blood"),
        ("8lood", "blood"),
        ("9un", "gun"),
        ("d373c71v3", "detective"),
        ("kn.ife", "knife"),
        ("kn*1fe", "knife"),
        ("kni-f_e", "knife"),
        ("kn'ife", "knife"),
        ("ВОМВ", "bomb"),
        ("ᏦnᎥᖴᎬ", "knife"),
        ("kn\u3164ife", "knife"),
        ("kn\u0941ife", "knife"),
        ("kn\u093eife", "knife"),
        ("a\u2800knife", "a knife"),
        ("a  long\t knife", "a long knife"),
        ("no \n  knife", "no\nknife"),
    ],
)
def test_disguised_words_are_read_as_meant(prompt: str, word: str) -> None:
    """One of the views reads as a person would."""
    assert word in [view.text for view in views(prompt)]


@pytest.mark.parametrize(
    "prompt",
    ["a 35mm photo, 1080p", "a sunset!", "wow!!", "a cat in 4096", "a 4x zoom", "she'll, 5yo, 3rd"],
)
def test_numbers_and_punctuation_stay(prompt: str) -> None:
    """What is no disguise gives no second view."""
    assert [view.text for view in views(prompt)] == [prompt]


def test_a_span_leads_back_to_the_prompt() -> None:
    """Positions in either view point at the characters that were written."""
    prompt = "A man, k\u200b n i f e"
    view = views(prompt)[-1]
    start = view.text.index("knife")
    first, last = view.span(start, start + 5)

    assert prompt[first:last] == "k\u200b n i f e"


@given(st.text(max_size=60))
def test_any_text_has_views(prompt: str) -> None:
    """Every character of a view comes from the prompt, in order, whatever the prompt holds."""
    for view in views(prompt):
        assert len(view.text) == len(view.origin)
        assert list(view.origin) == sorted(view.origin)
        assert all(0 <= i < len(prompt) for i in view.origin)


@pytest.mark.parametrize(
    ("prompt", "seen"),
    [
        ("2kids, gun", ["2kids, gun", "2 kids, gun"]),
        ("1male", ["1male", "imale", "lmale", "1 male"]),
        ("12men", ["12men", "12 men"]),
        ("5year old girl", ["5year old girl", "syear old girl", "5 year old girl"]),
        ("!2kids!!", ["!2kids!!", "i2kids!!", "l2kids!!", "!2 kids!!"]),
        ("5word", ["5word", "sword", "5 word"]),
        ("1t33n", ["1t33n", "iteen", "lteen", "1 teen"]),
        ("1girl, 2boys", ["1girl, 2boys"]),
        ("10yrs old", ["10yrs old", "10 yrs old"]),
    ],
)
def test_a_count_is_parted_from_what_is_counted(prompt: str, seen: list[str]) -> None:
    """Beside what it is where its digit stands for a letter; tags stay as they are."""
    assert [view.text for view in views(prompt)] == seen


def test_a_span_leads_back_past_a_count() -> None:
    """The space that is put in stands for no character of the prompt."""
    view = views("a photo, 2kids")[-1]
    start = view.text.index("kids")

    assert view.span(start, start + 4) == (10, 14)
