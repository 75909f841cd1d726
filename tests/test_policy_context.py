"""The values that a policy knows of a request, in whatever spelling they come."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safegen.errors import InputError, PolicyError
from safegen.nouns import Context, Outcome, Scores
from safegen.policy import Policy
from safegen.policy.compare import decided
from safegen.policy.explain import explain

HEAD = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\n'
KNOWN = "context: {age_band: {values: [minor, Teen]}, region: {values: [eu], others: allow}}\n"
RULES = """\
rules:
  - {id: young, when: "request.age_band in ['minor', 'Teen']", then: {block: {reason: young}}}
  - {id: here, when: request.region == 'eu', then: {review: {reason: here}}}
"""


def load(own: str, **files: str) -> Policy:
    """The policy `own`, with these files to import."""
    return Policy(HEAD + own, "own", fetch=lambda name, _: (HEAD + files[name], name))


@pytest.mark.parametrize("spelled", ["Teen", "teen", "TEEN", " teen\n"])
def test_a_known_value_counts_however_it_is_spelled(spelled: str) -> None:
    """Rules, explanations and records see it as it is declared."""
    policy, context = load(KNOWN + RULES), Context(age_band=spelled)
    decision = policy.assess("a cat", context)[1]

    assert decision.outcome == Outcome.BLOCKED
    assert decision.rules[0].values == {"request.age_band": "Teen"}
    assert explain(policy, "a cat", context).decision == decision
    assert policy.settled(context) == Context(age_band="Teen")


def test_a_value_that_is_not_known_is_refused() -> None:
    """No image comes of it, and the message says what could have been meant."""
    policy = load(KNOWN + RULES)
    with pytest.raises(InputError, match="age_band 'teens'; it knows minor, Teen") as caught:
        policy.assess("a cat", Context(age_band="teens"))

    assert "did you mean Teen?" in str(caught.value.mend)
    assert decided(policy, Scores(), Context(age_band="teens")).outcome[0].startswith("error: ")


@pytest.mark.parametrize("given", ["", "us", "EU ", "Mars"])
def test_what_was_not_said_or_is_open_passes(given: str) -> None:
    """Nothing is known then; a region that is not listed is seen as it is."""
    policy = load(KNOWN + RULES)

    assert policy.settled(Context(region=given)).region == ("eu" if given == "EU " else given)
    assert policy.assess("a cat", Context(region="us"))[1].outcome == Outcome.ALLOWED


@given(st.text(st.characters(codec="utf-8"), max_size=8))
def test_settling_is_done_once(text: str) -> None:
    """What is recorded is decided the same when it is replayed."""
    context = Context(region=text)
    policy = POLICY

    assert policy.settled(policy.settled(context)) == policy.settled(context)


POLICY = load(KNOWN + RULES)


def test_imports_add_up_and_refusals_win() -> None:
    """Values of both are known, in the spelling of the first; nobody opens what another closed."""
    base = KNOWN + RULES
    own = "imports: [base]\ncontext: {age_band: {values: [TEEN, adult], others: allow}}\n"
    policy = load(own, base=base)
    known = policy.file.context["age_band"]

    assert (known.values, known.others) == (("minor", "Teen", "adult"), "refuse")
    assert policy.assess("a cat", Context(age_band="teen"))[1].outcome == Outcome.BLOCKED
    assert policy.assess("a cat", Context(age_band="Adult"))[1].outcome == Outcome.ALLOWED
    closed = load("imports: [base]\ncontext: {region: {values: [us]}}\n", base=base)
    with pytest.raises(InputError, match="it knows eu, us"):
        closed.settled(Context(region="mars"))


@pytest.mark.parametrize(
    ("condition", "told", "mend"),
    [
        ("request.age_band == 'teen'", "request.age_band with 'teen'", "write 'Teen'"),
        ("request.age_band in ['minor', 'Tee']", "with 'Tee'", "did you mean Teen?"),
        ("'kid' != request.age_band", "with 'kid'", "known are: Teen, minor"),
        ("request.region == 'EU'", "with 'EU'", "write 'eu'"),
    ],
)
def test_a_rule_that_no_request_can_meet_is_refused(condition: str, told: str, mend: str) -> None:
    """It would sleep for ever."""
    rule = f'rules: [{{id: r, when: "{condition}", then: {{block: {{reason: young}}}}}}]\n'
    with pytest.raises(PolicyError, match=r"^own:4:23: ") as caught:
        load(KNOWN + rule)

    assert told in caught.value.reason
    assert mend in str(caught.value.mend)
    assert load(rule).rules


def test_an_import_whose_rules_an_importer_would_put_to_sleep_is_refused() -> None:
    """By another spelling of what they compare with; the error is at the rule."""
    with pytest.raises(PolicyError, match=r"^base:5:22: .* which no request can have"):
        load("imports: [base]\ncontext: {region: {values: [EU], others: allow}}\n", base=RULES)


LOCKED = 'rules: [{id: firm, when: "WHEN", locked: true, then: {block: {reason: here}}}]\n'
OPEN = "context: {region: {values: [eu], others: allow}}\n"


@pytest.mark.parametrize("declared", ["", OPEN])
@pytest.mark.parametrize(
    "condition",
    ["request.region.startsWith('us')", "request.region + '' == 'us'", "request.region != 'US'"],
)
def test_what_a_locked_rule_sees_of_a_request_stays(condition: str, declared: str) -> None:
    """A value of the importer, or of another import, would fold others into it."""
    base = declared + LOCKED.replace("WHEN", condition)
    values = "context: {region: {values: [EU-west, US], others: allow}}\n"
    values = values if declared else values.replace("EU-west, ", "")
    beside = values + RULES.replace("'eu'", "'mars'")
    for own, place in (
        ("imports: [base]\n" + values, 4),
        ("imports: [base, beside]\n", 3),
        ("imports: [beside, base]\n", 3),
    ):
        with pytest.raises(PolicyError, match=rf"^own:{place}:.* 'firm', which is locked"):
            load(own, base=base, beside=beside)


def test_what_takes_nothing_from_what_a_locked_rule_sees() -> None:
    """Values that it declares too, those that were refused before, and texts that it leaves out."""
    base = KNOWN + LOCKED.replace("WHEN", "request.age_band == 'Teen' || request.region == 'eu'")
    own = "age_band: {values: [teen, adult]}, region: {values: [EU]}, surface: {values: [x]}"
    known = load(f"imports: [base]\ncontext: {{{own}}}\n", base=base).file.context

    assert known["age_band"].values == ("minor", "Teen", "adult")


def test_another_import_does_not_spell_what_a_locked_rule_knows() -> None:
    """The first import's spelling holds, so that the rule would see another one than it wrote."""
    base = KNOWN + LOCKED.replace("WHEN", "request.age_band.startsWith('Te')")
    beside = "context: {age_band: {values: [young, TEEN]}}\n" + RULES.replace("'Teen'", "'TEEN'")
    beside = beside.replace("'minor'", "'young'")
    with pytest.raises(PolicyError, match=r"^own:3:11: request.age_band .* see it as 'TEEN'"):
        load("imports: [beside, base]\n", base=base, beside=beside)


@pytest.mark.parametrize("rest", ["request.region != ''", "request.region == 'us'"])
def test_what_a_rule_may_compare_with(rest: str) -> None:
    """With nothing, and with anything where others are allowed."""
    load(f'{KNOWN}rules: [{{id: r, when: "{rest}", then: {{block: {{reason: r00}}}}}}]\n')


def test_a_test_case_has_a_value_that_is_known() -> None:
    """Else no decision could come of it."""
    tests = "tests: [{prompt: a cat, context: {age_band: kid}, expect: blocked}]\n"
    with pytest.raises(PolicyError, match=r"^own:7:45: .* does not know the age_band 'kid'"):
        load(KNOWN + RULES + tests)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("{age_bend: {values: [a]}}", "did you mean age_band?"),
        ("{user: {values: [a]}}", "known are: age_band, region, surface, tenant"),
        ("{region: {values: []}}", "at least 1 item"),
        ("{region: {values: [a, A]}}", "'A' is 'a' again"),
        ("{region: {values: [a, a]}}", "'a' is 'a' again"),
        ("{region: {values: ['']}}", "'' is '' again"),
        ("{region: {values: [' a']}}", "blanks around it"),
        ("{region: {values: [a], others: reuse}}", "did you mean refuse?"),
    ],
)
def test_a_wrong_section_is_an_error(section: str, told: str) -> None:
    """With its place."""
    with pytest.raises(PolicyError, match=r"^own:3:") as caught:
        load(f"context: {section}\n{RULES}")

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("pack", "prompt", "context", "outcome"),
    [
        ("default", "a beer on a table", {"age_band": "Teen"}, Outcome.STEERED),
        ("eu", "a swastika on a wall", {"region": "EU"}, Outcome.BLOCKED),
        ("eu", "a swastika on a wall", {"region": "De"}, Outcome.BLOCKED),
        ("eu", "a swastika on a wall", {"region": "us"}, Outcome.REVIEW),
        ("strict", "a beer on a table", {"age_band": "13-17"}, None),
        ("default", "a cat", {"age_band": "kid"}, None),
    ],
)
def test_the_shipped_packs(
    pack: str, prompt: str, context: dict[str, Any], outcome: Outcome | None
) -> None:
    """An integrator who writes another spelling, or guesses, does not switch them off."""
    policy = Policy.load(pack)
    if outcome:
        assert policy.assess(prompt, Context(**context))[1].outcome == outcome
        return
    with pytest.raises(InputError, match="it knows minor, child, teen, adult"):
        policy.assess(prompt, Context(**context))
