"""What follows a word and rules it out, and what only seems to."""

import re

import pytest

from safegen.risk.predicate import excluded

WORDS = re.compile(
    r"(?<!\w)(?:gun|knife|knive|bomb|weapon|porn|gore|nudity|nude|naked|topless|corpse|beheading|"
    r"alcohol|smoking|teen|minor|child|children)s?(?!\w)"
)


def words(text: str) -> tuple[list[str], list[str]]:
    """The words of a text that are ruled out, and those that are not."""
    spans = [match.span() for match in WORDS.finditer(text)]
    out = excluded(text, spans)
    return (
        [text[a:b] for a, b in spans if (a, b) in out],
        [text[a:b] for a, b in spans if (a, b) not in out],
    )


@pytest.mark.parametrize(
    "text",
    [
        "a weapon-free zone",
        "a gun free zone sign",
        "a nudity free town",
        "a child-free resort",
        "keep it gore free",
        "a school that is gun free, mural",
        "weapons are not allowed",
        "weapons aren't allowed in the hall",
        "the gun is not visible",
        "alcohol is strictly forbidden",
        "weapons strictly prohibited",
        "smoking prohibited in this building",
        "a nudity forbidden sign",
        "minors are not allowed",
        "a bar where children are not allowed",
        "guns and knives are forbidden, sign",
        "guns, knives and bombs are banned here",
        "guns, knives, and bombs are banned here",
        "a street, guns or drugs are banned",
        "all guns and all knives are prohibited",
        "a sign that says alcohol and weapons are not permitted",
    ],
)
def test_what_follows_rules_out(text: str) -> None:
    """A hyphen, a fixed place or a verb leave no doubt; the list before goes as a whole."""
    out, left = words(text)
    assert out
    assert not left


@pytest.mark.parametrize(
    "text",
    [
        "a nude free spirit",
        "porn free for all",
        "porn free",
        "porn free shop",
        "a porn banned poster",
        "a gun free child",
        "a naked less innocent face",
        "a corpse free of its coffin",
        "a beheading banned from television",
        "a corpse absent from the photo",
        "a nude forbidden love",
        "a naked forbidden",
        "teen porn banned film",
        "child nude forbidden",
        "a child free to roam",
        "nude teens are banned",
        "naked, teens are banned",
        "a nude child is not allowed",
        "teens and topless children are forbidden",
    ],
)
def test_what_follows_may_belong_to_something_else(text: str) -> None:
    """Before a noun "free" and "banned" describe that one, and people are described themselves."""
    out, left = words(text)
    assert left
    assert not out


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("a man with a gun and knives are forbidden", ["gun"]),
        ("a poster, porn, guns and knives are banned", ["porn"]),
        ("nude, guns and knives are banned", ["nude"]),
        ("teens, porn and guns are banned", ["teens"]),
        ("a beheading and guns are banned", ["beheading"]),
        ("gun" + " " * 50_000 + "free", ["gun"]),  # in no more than an instant
    ],
)
def test_a_list_is_no_longer_than_it_surely_is(text: str, asked: list[str]) -> None:
    """What may stand before the list, or is said of somebody, is asked for."""
    assert words(text)[1] == asked
