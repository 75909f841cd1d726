"""Several steers of one concept: the strongest acts, and what is locked is never weakened."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from safegen.nouns import Context, Intervention, Outcome, Scores
from safegen.policy.evaluate import Values, decide
from safegen.policy.schema import Metadata, PolicyFile, Rule
from safegen.steering.plan import schedule

FILE = PolicyFile(apiVersion="safegen/v1", metadata=Metadata(name="x", version="1"))


def rule(number: int, *, locked: bool = False, **then: Any) -> Rule:
    """One rule that always fires."""
    return Rule.model_validate({"id": f"r{number}", "when": "true", "locked": locked, "then": then})


def steered(*rules: Rule) -> tuple[Intervention, ...]:
    """What acts on the one image of a request on which these rules fire, locked ones first."""
    fired: list[tuple[Rule, Values]] = [
        (each, {}) for each in sorted(rules, key=lambda each: not each.locked)
    ]
    decision = decide(FILE, "sha256:0", fired, Scores(values={"half": 0.5}), Context())

    assert decision.outcome == Outcome.STEERED
    return decision.interventions[0]


def of_one(*steers: tuple[dict[str, Any], bool]) -> Intervention:
    """What acts of one concept, of steers that are locked or not."""
    rules = (
        rule(number, locked=locked, steer=[{"concept": "a", **how}])
        for number, (how, locked) in enumerate(steers)
    )
    (each,) = steered(*rules)
    return each


def push(each: Intervention, gate: float) -> NDArray[np.float64]:
    """How strongly it acts at every phase where the projection gate is so far open."""
    return each.strength * schedule(each) * (gate if each.gate == "projection" else 1.0)


WINDOWS = st.lists(st.integers(0, 20), min_size=2, max_size=2, unique=True).map(
    lambda ends: {"start": min(ends) / 20, "stop": max(ends) / 20}
)
HOWS = st.builds(
    lambda window, strength, **how: {**window, "strength": strength, **how},
    WINDOWS,
    st.floats(-10, 10),
    schedule=st.sampled_from(["constant", "bell"]),
    gate=st.sampled_from(["open", "projection"]),
)


@settings(deadline=None)
@given(st.lists(st.tuples(HOWS, st.booleans()), min_size=1, max_size=4), st.floats(0, 1))
def test_no_rule_lowers_what_a_locked_one_adds(
    steers: Sequence[tuple[dict[str, Any], bool]], gate: float
) -> None:
    """At no step, however far a gate is open; of locked ones that turn both ways, the first."""
    acts = push(of_one(*steers), gate)
    locked = [of_one(each) for each in steers if each[1] and each[0]["strength"]]
    for each in locked:
        if each.strength * locked[0].strength > 0:
            sign = np.sign(each.strength)
            assert (sign * acts >= sign * push(each, gate)).all()


@pytest.mark.parametrize(
    "added",
    [
        {"strength": 2.01, "start": 0.99},
        {"strength": 2.01, "stop": 0.01, "gate": "projection", "schedule": "bell"},
        {"strength": -10.0},
        {"strength": 1.0},
        {"strength": 10.0, "follow": "half", "stop": 0.1},
    ],
)
def test_a_locked_steer_is_not_neutralised(added: dict[str, Any]) -> None:
    """A stronger one of a moment, or one that turns away, takes nothing from it."""
    each = of_one(({"strength": 2.0}, True), (added, False))

    assert each.strength >= 2.0
    assert (each.start, each.stop) == (0.0, 1.0)
    assert (each.gate, each.schedule) == ("open", "constant")


def test_one_that_does_more_adds_to_a_locked_steer() -> None:
    """The importer's rule is heard where it asks for more than the locked one."""
    locked: dict[str, Any] = {"strength": -1.0, "start": 0.2, "stop": 0.4, "schedule": "bell"}

    assert of_one((locked, True), ({"strength": -3.0, "stop": 0.5}, False)) == Intervention(
        concept="a", strength=-3.0, stop=0.5
    )
    assert of_one((locked, True), ({**locked, "strength": -2.0}, False)) == Intervention(
        concept="a", **{**locked, "strength": -2.0}
    )


@pytest.mark.parametrize("strengths", [(-2.0, -0.01), (-2.0, 1.0), (2.0, -1.0)])
def test_the_strongest_is_the_farthest_from_nothing(strengths: tuple[float, float]) -> None:
    """Without locks too: of negative strengths it is the lowest, and both signs count alike."""
    for order in (strengths, strengths[::-1]):
        steers = [({"strength": strength}, False) for strength in order]
        assert of_one(*steers).strength == strengths[0]


def test_a_locked_draw_is_not_swallowed() -> None:
    """A steer of the drawn concept cannot turn it round, nor shorten it."""
    draw = {"attribute": "gender", "target": {"woman": 0.5, "man": 0.5}, "strength": 1.5}
    against = [
        {"concept": concept, "strength": strength, "stop": 0.1}
        for concept in ("woman", "man")
        for strength in (-9.0, 1.6)
    ]
    images = {
        each.concept: each
        for each in steered(rule(0, locked=True, fair=draw), rule(1, steer=against))
    }
    (drawn,) = (each for each in images.values() if each.stop == 1.0)

    assert (drawn.strength, drawn.start) == (1.6, 0.0)


def test_of_locked_ones_that_turn_both_ways_the_first_holds() -> None:
    """A draw of a later locked rule does not turn round what an earlier one steers by."""
    draw = {"attribute": "gender", "target": {"woman": 0.5, "man": 0.5}}
    steers = [{"concept": concept, "strength": -2.0} for concept in ("woman", "man")]
    images = steered(rule(0, locked=True, steer=steers), rule(1, locked=True, fair=draw))

    assert {each.strength for each in images} == {-2.0}
