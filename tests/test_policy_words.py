"""The words of a policy's lists: `{other}` is filled in wherever it stands, or is an error."""

import pytest

from safegen.errors import PolicyError
from safegen.nouns import Context, Outcome
from safegen.policy import Policy

HEAD = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\nlists:\n'
RULE = "rules: [{id: r, when: fact.wanted, then: {block: {reason: r}}}]\n"


def load(*lists: str) -> Policy:
    """A policy with these lists, one a line."""
    return Policy(HEAD + "".join(f"  {each}\n" for each in lists) + RULE, "own.yaml")


def found(policy: Policy, prompt: str) -> bool:
    """Whether the list `wanted` finds something in a prompt."""
    return policy.assess(prompt, Context())[1].outcome == Outcome.BLOCKED


def test_names_stand_for_words_wherever_they_are() -> None:
    """Several in one term, those of lists that name others, and in what is ruled out or excused."""
    policy = load(
        "wanted: {kind: fact, terms: ['{size} {blade}'], rules_out: ['{no}handed'],"
        " except_in: ['{size} {blade} {food}']}",
        "size: {kind: words, terms: [big, 'very {large}']}",
        "large: {kind: words, terms: [large, huge]}",
        "blade: {kind: words, terms: [knife, sword]}",
        "food: {kind: words, terms: [block, sheath]}",
        "no: {kind: words, terms: [empty, bare]}",
    )
    told = policy.classify(["a left-handed man", "barehanded"])

    for size in ("big", "very large", "very huge"):
        for blade in ("knife", "sword"):
            assert found(policy, f"a {size} {blade}")
            assert not found(policy, f"a {size} {blade} sheath")
    assert not found(policy, "a knife that is very large")
    assert [each.facts["negated_wanted"] for each in told] == [False, True]


@pytest.mark.parametrize("key", ["terms", "rules_out", "except_in"])
@pytest.mark.parametrize(
    ("term", "reason", "mend"),
    [
        ("a {blades} b", "names the list 'blades', which does not exist", "did you mean blade?"),
        ("{blade} {blades}", "names the list 'blades', which does not exist", "did you mean"),
        ("{blade knife}", "a brace that belongs to no {name}", "or name a list"),
        ("{{blade}}", "a brace that belongs to no {name}", "or name a list"),
        ("knife}", "a brace that belongs to no {name}", "or name a list"),
        ("{l0}", "in a circle or more than 8 deep", "write some"),
        ("...", "neither a word nor an emoji", ""),
        ("{marks}", "neither a word nor an emoji", ""),
    ],
)
def test_a_name_that_stands_for_nothing_is_an_error(
    key: str, term: str, reason: str, mend: str
) -> None:
    """At the term, with the reason and the mend; nothing is silently read as it stands."""
    wanted = {"terms": "[knife]", key: f"[knife, '{term}']"}
    first = f"wanted: {{kind: fact, {', '.join(f'{k}: {words}' for k, words in wanted.items())}}}"
    chain = [f"l{i}: {{kind: words, terms: ['{{l{i + 1}}}']}}" for i in range(8)]
    with pytest.raises(PolicyError) as caught:
        load(
            first,
            "blade: {kind: words, terms: [knife]}",
            "marks: {kind: words, terms: ['!']}" if "marks" in term else "",
            *(chain if "l0" in term else ""),
            "l8: {kind: words, terms: [knife]}",
        )

    assert reason in caught.value.reason
    assert mend in (caught.value.mend or "")
    assert (caught.value.line, caught.value.column) == (4, 3 + first.index(f"'{term}'"))


@pytest.mark.parametrize("key", ["terms", "rules_out"])
@pytest.mark.parametrize(
    ("term", "excuse"),
    [("gun", "gun"), ("guns", "gun"), ("s&m", "s&m"), ("s m", "s&m"), ("{blade}", "{blade}")],
)
def test_a_term_that_is_always_excused_is_an_error(key: str, term: str, excuse: str) -> None:
    """It would never be found, not even alone."""
    wanted = {"terms": "[axe]", "except_in": f"['{excuse}']", key: f"[axe, '{term}']"}
    first = f"wanted: {{kind: fact, {', '.join(f'{k}: {words}' for k, words in wanted.items())}}}"
    with pytest.raises(PolicyError, match="`except_in` of the list 'wanted' excuses it") as caught:
        load(first, "blade: {kind: words, terms: [knife, sword]}")

    assert (caught.value.mend or "").startswith(f"take it out of `{key}`")
    column = first.index(f"'{term}'", first.index(f"{key}:"))
    assert (caught.value.line, caught.value.column) == (4, 3 + column)


def test_some_words_of_a_list_may_be_excused() -> None:
    """What a {name} stands for is still found, but for those; so is what differs by its marks."""
    policy = load(
        "wanted: {kind: fact, terms: ['{blade}', 's&m'], except_in: [sword, 's m']}",
        "blade: {kind: words, terms: [knife, sword]}",
    )
    assert [found(policy, each) for each in ("a knife", "a sword", "s&m", "s m")] == [
        True, False, True, False,
    ]  # fmt: skip


def test_a_term_of_signs_is_found() -> None:
    """A sign such as $ is no stop."""
    assert found(load("wanted: {kind: fact, terms: ['$$$']}"), "bags of $$$, cash")


def test_seven_lists_deep_is_not_too_deep() -> None:
    """Names may lead to names."""
    chain = [f"l{i}: {{kind: words, terms: ['{{l{i + 1}}}']}}" for i in range(6)]

    assert found(
        load(
            "wanted: {kind: fact, terms: ['a {l0}']}", *chain, "l6: {kind: words, terms: [knife]}"
        ),
        "a knife",
    )


@pytest.mark.parametrize("term", ["a {wanted}", "{loop}"])
def test_lists_that_name_each_other_without_end(term: str) -> None:
    """A circle is found at the first term that leads into it."""
    with pytest.raises(PolicyError, match=r"^own\.yaml:4:32: .*in a circle"):
        load(
            f"wanted: {{kind: fact, terms: ['{term}']}}",
            "loop: {kind: words, terms: ['a {wanted}']}",
        )


def test_a_replaced_list_may_close_a_circle() -> None:
    """The error stands at the list that does."""
    base = HEAD + "  wanted: {kind: fact, terms: ['a {arm}']}\n  arm: {kind: words, terms: [b]}\n"
    own = HEAD.replace("lists:", "imports: [base]\nlists:") + (
        "  arm: {kind: words, terms: ['{wanted} c']}\n"
    )
    with pytest.raises(PolicyError, match=r"^own:5:30: .*in a circle"):
        Policy(own, "own", fetch=lambda name, _: (base + RULE, name))
