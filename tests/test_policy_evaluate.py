"""From rules to a decision: what wins, what composes, what only leaves a mark."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safegen.errors import ClassifierError, PolicyError
from safegen.nouns import Check, Context, Decision, Intervention, Outcome, Reaction, Scores
from safegen.policy import Policy, evaluate

POLICY = """\
apiVersion: safegen/v1
metadata: {name: small, version: "1"}
lists:
  steer: {kind: score, terms: [steer]}
  more: {kind: score, terms: [more]}
  fair: {kind: fact, terms: [fair]}
  shadow: {kind: fact, terms: [shadow]}
  check: {kind: fact, terms: [check]}
  stop: {kind: score, terms: [stop]}
  ask: {kind: score, terms: [ask]}
rules:
  - id: steer
    when: score.steer >= 0.5
    then:
      steer: [{concept: a, strength: 1.0}, {concept: b, start: 0.2, stop: 0.6}]
      negative_prompt: this
      check: [{detector: clip, label: x, threshold: 0.5}]
  - id: more
    when: score.more >= 0.5
    then:
      steer: [{concept: a, strength: 2.0}, {concept: woman, strength: 3.0}]
      negative_prompt: that
      check:
        - {detector: clip, label: x, threshold: 0.4}
        - {detector: clip, label: y, threshold: 0.9}
  - id: fair
    when: fact.fair
    then: {fair: {attribute: gender, target: {woman: 0.5, man: 0.5}}}
  - id: fair.again
    when: fact.fair
    then: {fair: {attribute: gender, target: {man: 0.9, woman: 0.1}}}
  - id: shadow
    when: fact.shadow
    enforce: shadow
    then:
      block: {reason: would}
      negative_prompt: never
  - {id: check, when: fact.check, then: {check: [{detector: clip, label: z, threshold: 0.1}]}}
  - {id: ask, when: score.ask >= 0.5, then: {review: {reason: look}}}
  - {id: stop, when: score.stop >= 0.5, then: {block: {reason: first}}}
  - {id: stop.again, when: score.stop >= 0.5, then: {block: {reason: second}}}
checks: [{detector: nsfw, label: nsfw, threshold: 0.8}]
ladder: [{action: regenerate, times: 2}, {action: block}]
"""
SMALL = Policy(POLICY)
TWIN = Policy(POLICY)
ALWAYS = Check(detector="nsfw", label="nsfw", threshold=0.8)


def decide(prompt: str, images: int = 1, seed: int = 0) -> Decision:
    """What the policy above decides."""
    return SMALL.assess(prompt, Context(images=images, seed=seed))[1]


RULES = POLICY[POLICY.index("  - id: steer") : POLICY.index("checks: [{")]
EACH = [f"  - {each}" for each in RULES.removeprefix("  - ").split("\n  - ")]
FIRST = list(range(len(EACH)))


def ordered(order: Sequence[int], priorities: Sequence[int]) -> Policy:
    """The policy with its rules in another order, each with its priority."""
    rules = [
        EACH[at].replace("id:", f"priority: {priorities[at]}\n    id:", 1)
        if "\n    when" in EACH[at]
        else EACH[at].replace("{id:", f"{{priority: {priorities[at]}, id:", 1)
        for at in order
    ]
    text = "\n".join(rule.strip("\n") for rule in rules)
    return Policy(POLICY.replace(RULES, f"{text}\n"))


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(FIRST),
    priorities=st.lists(
        st.integers(-1000, 1000), min_size=len(EACH), max_size=len(EACH), unique=True
    ),
    words=st.sets(st.sampled_from(["steer", "more", "fair", "shadow", "check", "stop", "ask"])),
)
def test_distinct_priorities_make_the_order_in_the_file_immaterial(
    order: list[int], priorities: list[int], words: set[str]
) -> None:
    """With priorities of their own, rules decide the same wherever they stand in the file."""
    context = Context(images=4)
    decisions = []
    for policy in (ordered(FIRST, priorities), ordered(order, priorities)):
        scores = policy.classify([" ".join(sorted(words))])[0]
        fired = [(each.rule, {}) for each in policy.firing(policy.values(scores, context))]
        # One digest for both: it seeds the draws, and is that of the text.
        decisions.append(evaluate.decide(policy.file, "sha256:0", fired, scores, context))

    assert decisions[0] == decisions[1]


def test_the_higher_priority_is_heard() -> None:
    """Of two equal outcomes it gives the reason, of two draws it draws; the graver still wins."""
    text = POLICY.replace("id: stop.again", "id: stop.again, priority: 2")
    text = text.replace("  - id: fair.again", "  - id: fair.again\n    priority: 1")
    text = text.replace("id: ask", "id: ask, priority: 9")
    policy = Policy(text)

    def decided(prompt: str) -> Decision:
        return policy.assess(prompt, Context(images=10))[1]

    drawn = [each.concept for image in decided("fair").interventions for each in image]
    assert decided("stop ask").reason == "second"
    assert (drawn.count("man"), drawn.count("woman")) == (9, 1)


@pytest.mark.parametrize("wrong", ["1001", "-1001", "1.5", "true", "'7'", "high", ".inf", "[1]"])
def test_no_priority(wrong: str) -> None:
    """What is no whole number in range is an error that points at it."""
    with pytest.raises(PolicyError, match=r"p\.yaml:4:\d+: rules\.0\.priority"):
        Policy(
            'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\nrules:\n'
            f"  - {{id: a, when: 'true', then: {{negative_prompt: x}}, priority: {wrong}}}\n",
            "p.yaml",
        )


def test_nothing_fires() -> None:
    """A prompt on which no rule fires is allowed and untouched, and still checked."""
    assert decide("a cat") == Decision(
        outcome=Outcome.ALLOWED,
        checks=(ALWAYS,),
        ladder=(Reaction(action="regenerate", times=2), Reaction(action="block")),
        policy="small",
        policy_digest=SMALL.digest,
    )


def test_steers_compose() -> None:
    """Of one concept the strongest counts; negative prompts and checks join, the strictest wins."""
    decision = decide("steer more", images=2)
    (first, second) = decision.interventions

    assert decision.outcome == Outcome.STEERED
    assert first == second
    assert {i.concept: i.strength for i in first} == {"a": 2.0, "b": 1.0, "woman": 3.0}
    assert [(i.start, i.stop) for i in first if i.concept == "b"] == [(0.2, 0.6)]
    assert decision.negative_prompt == "this, that"
    assert decision.checks == (
        ALWAYS,
        Check(detector="clip", label="x", threshold=0.4),
        Check(detector="clip", label="y", threshold=0.9),
    )


@pytest.mark.parametrize(
    ("one", "other", "wins"),
    [
        ("stop: 0.7", "stop: 1.0", "stop: 1.0"),
        ("start: 0.2, stop: 0.7", "start: 0.4, stop: 0.8", "start: 0.2, stop: 0.7"),
        ("schedule: bell", "schedule: constant", "schedule: constant"),
        ("gate: projection", "gate: open", "gate: open"),
        ("strength: 1.2, stop: 0.3", "stop: 1.0", "strength: 1.2, stop: 0.3"),
    ],
)
def test_of_equals_the_one_that_does_more(one: str, other: str, wins: str) -> None:
    """Equally strong steers of one concept: the longest wins, whichever rule comes first."""
    head = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\nrules:\n'
    rule = "  - {id: RULE, when: 'true', then: {steer: [{concept: a, HOW}]}}\n"

    def steered(*ways: str) -> tuple[Intervention, ...]:
        rules = [rule.replace("RULE", f"r{i}").replace("HOW", way) for i, way in enumerate(ways)]
        return Policy(head + "".join(rules)).assess("x", Context())[1].interventions[0]

    assert steered(one, other) == steered(other, one) == steered(wins)


def test_ruling_out_a_weapon_lasts() -> None:
    """A guard without a knife: what the prompt rules out is kept away to the end."""
    _, decision = Policy.load("default").assess("a guard without a knife", Context())
    (steer,) = (i for i in decision.interventions[0] if i.concept == "no-weapon")

    assert {"safe.weapon-unasked", "text.no-weapon"} <= {rule.id for rule in decision.rules}
    assert (steer.start, steer.stop) == (0.0, 1.0)


def test_fair_draws_per_image() -> None:
    """Images get their quota; of two rules for one attribute the first draws."""
    decision = decide("fair", images=6)
    drawn = [tuple(i.concept for i in image) for image in decision.interventions]

    assert decision.outcome == Outcome.STEERED
    assert sorted(drawn) == [("man",)] * 3 + [("woman",)] * 3


def test_another_policy_draws_anew() -> None:
    """For the same seeds, were it another by a comment alone."""

    def drawn(policy: Policy) -> list[str]:
        decisions = [policy.assess("fair", Context(seed=seed))[1] for seed in range(40)]
        return [decision.interventions[0][0].concept for decision in decisions]

    assert drawn(SMALL) == drawn(TWIN) != drawn(Policy(f"{POLICY}# another\n"))


def test_a_drawn_concept_has_its_own_strength() -> None:
    """`strengths` says those that differ from the draw's `strength`; a risk is followed by all."""
    own = "target: {woman: 0.5, man: 0.5}, strength: 2.0, strengths: {man: 0.5}"
    policy = Policy(POLICY.replace("target: {woman: 0.5, man: 0.5}", own))
    decision = policy.assess("fair", Context(images=2))[1]
    drawn = {each.concept: each.strength for image in decision.interventions for each in image}

    assert drawn == {"woman": 2.0, "man": 0.5}


def test_a_draw_and_a_steer_on_one_concept() -> None:
    """An image that draws a concept which is steered too gets it once, at the higher strength."""
    for image in decide("fair more", images=2).interventions:
        concepts = [i.concept for i in image]

        assert len(concepts) == len(set(concepts))
        assert {i.strength for i in image if i.concept == "woman"} == {3.0}


@pytest.mark.parametrize(
    ("prompt", "outcome", "reason"),
    [
        ("check", Outcome.ALLOWED, ""),
        ("steer check", Outcome.STEERED, ""),
        ("steer ask", Outcome.REVIEW, "look"),
        ("steer ask stop", Outcome.BLOCKED, "first"),
    ],
)
def test_the_gravest_wins(prompt: str, outcome: Outcome, reason: str) -> None:
    """Block > review > steered > allowed, with the reason of the first rule of that gravity."""
    decision = decide(prompt)

    assert (decision.outcome, decision.reason) == (outcome, reason)
    assert bool(decision.checks) is (outcome in (Outcome.ALLOWED, Outcome.STEERED))


def test_a_stopped_request_asks_for_nothing_else() -> None:
    """Blocked: no interventions, negative prompt, checks or ladder, but every rule is told."""
    decision = decide("steer fair stop")

    assert (decision.interventions, decision.negative_prompt) == ((), "")
    assert (decision.checks, decision.ladder) == ((), ())
    assert [rule.id for rule in decision.rules] == [
        "steer", "fair", "fair.again", "stop", "stop.again",
    ]  # fmt: skip


@pytest.mark.parametrize("locked", ["", "\n    locked: true"])
def test_shadow_rules_only_leave_a_mark(locked: str) -> None:
    """The decision is that of the same prompt without the shadow rule, but for its mark."""
    policy = Policy(POLICY.replace("enforce: shadow", f"enforce: shadow{locked}"))
    plain, marked = (policy.assess(prompt, Context())[1] for prompt in ("steer", "steer shadow"))
    [mark] = (rule for rule in marked.rules if rule.id == "shadow")
    others = tuple(rule for rule in marked.rules if rule != mark)

    assert (mark.action, mark.reason) == ("would_block", "would")
    assert marked.model_copy(update={"rules": others}) == plain


def test_rules_tell_what_they_saw() -> None:
    """A fired rule carries the values of the variables in its condition, and no others."""
    (rule,) = decide("steer").rules

    assert rule.values == {"score.steer": 1.0}


def test_missing_scores_are_an_error() -> None:
    """Scores that lack what a condition needs never count as harmless."""
    with pytest.raises(ClassifierError, match=r"needs fact\.check"):
        SMALL.decide(Scores(), Context())


def test_a_condition_that_fails_is_an_error() -> None:
    """The error names the rule."""
    text = POLICY.replace("when: fact.check", "when: 1.0 / score.ask > 0.0 && 1 / 0 == 1")
    with pytest.raises(PolicyError, match="rule 'check'"):
        Policy(text).assess("a cat", Context())


WORDS = st.sampled_from(["steer", "more", "fair", "shadow", "check", "stop", "ask", "cat"])
PROMPTS = st.lists(WORDS, max_size=6).map(" ".join)
CONTEXTS = st.builds(Context, images=st.integers(1, 9), seed=st.integers(0, 2**40))


@given(PROMPTS, CONTEXTS)
def test_deciding_is_pure(prompt: str, context: Context) -> None:
    """Another policy object of the same text decides the same, down to every draw."""
    scores, decision = SMALL.assess(prompt, context)

    assert TWIN.decide(Scores.model_validate_json(scores.model_dump_json()), context) == decision


@given(PROMPTS, WORDS, CONTEXTS)
def test_more_risk_is_never_less_grave(prompt: str, word: str, context: Context) -> None:
    """A further word can only make the outcome graver."""
    order = [Outcome.ALLOWED, Outcome.STEERED, Outcome.REVIEW, Outcome.BLOCKED]
    before = SMALL.assess(prompt, context)[1].outcome
    after = SMALL.assess(f"{prompt} {word}", context)[1].outcome

    assert order.index(after) >= order.index(before)


@given(PROMPTS, CONTEXTS)
def test_a_decision_is_well_formed(prompt: str, context: Context) -> None:
    """One tuple of interventions per image or none at all, within what the policy announces."""
    decision = SMALL.assess(prompt, context)[1]

    assert len(decision.interventions) in (0, context.images)
    assert {i.concept for image in decision.interventions for i in image} <= SMALL.concepts
    assert set(decision.checks) <= SMALL.checks


GRADED = """
apiVersion: safegen/v1
metadata: {name: graded, version: "1"}
rules:
  - id: heat
    when: score.heat > 0.1
    then:
      steer: [{concept: calm, strength: 2.0, follow: FOLLOWED, schedule: bell, gate: projection}]
"""


def warm(prompts: Sequence[str]) -> list[Scores]:
    """A classifier that always gives the same graded score."""
    return [Scores(values={"heat": 0.25}) for _ in prompts]


def test_strength_may_follow_a_score() -> None:
    """The strength is multiplied by the score; schedule and gate reach the intervention."""
    policy = Policy(GRADED.replace("FOLLOWED", "heat"), classifiers=[warm])
    (each,) = policy.assess("anything", Context())[1].interventions[0]

    assert (each.strength, each.schedule, each.gate) == (0.5, "bell", "projection")


def test_a_missing_score_that_a_strength_follows_is_an_error() -> None:
    """It is needed as much as one that a condition reads."""
    always = GRADED.replace("score.heat > 0.1", "'true'").replace("FOLLOWED", "heat")
    with pytest.raises(ClassifierError, match=r"needs score\.heat"):
        Policy(always, classifiers=[warm]).decide(Scores(), Context())


def test_following_an_unknown_score_is_an_error() -> None:
    """A misspelt score is found when the policy is loaded."""
    with pytest.raises(PolicyError, match=r":8:54: .*follows the score 'heet'"):
        Policy(GRADED.replace("FOLLOWED", "heet"), classifiers=[warm])
