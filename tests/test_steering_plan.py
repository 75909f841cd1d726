"""Plans as tables of coefficients: schedules, units, the norm cap, bad plans."""

from typing import Any

import numpy as np
import pytest

from safegen.concepts.vector import position_norm
from safegen.errors import ConceptError, InputError, SteeringError
from safegen.nouns import Intervention
from safegen.steering.plan import (
    PHASES,
    Plan,
    relative_gram,
    schedule,
    stacked,
    window,
)
from safegen.testing import random_vector

MID = "mid_block"


def table(plan: Plan, **vectors: object) -> np.ndarray:
    """The coefficients at the mid block."""
    return plan.coefficients(MID, vectors, relative_gram(MID, vectors))  # type: ignore[arg-type]


def test_several_concepts_add_up() -> None:
    """Each sample has its own strengths; one concept twice is the sum."""
    a, b = (random_vector(name, {MID: (8,)}) for name in "ab")
    twice = [Intervention(concept="a", strength=0.5), Intervention(concept="a", strength=0.25)]
    plan = Plan.of([twice, [Intervention(concept="b", strength=-1)], []])

    np.testing.assert_allclose(table(plan, a=a, b=b)[500], [[0.75, 0], [0, -1], [0, 0]])


def test_a_concept_without_the_site_adds_nothing_there() -> None:
    """A vector for another site has the coefficient 0 here."""
    a, b = random_vector("a", {MID: (8,)}), random_vector("b", {"up_blocks.0": (8,)})
    plan = Plan.of([[Intervention(concept="b")]])

    assert not table(plan, a=a, b=b).any()


def test_schedules() -> None:
    """Constant is full within its window; the bell is full in the middle and 0 at the ends."""
    constant = schedule(Intervention(concept="a", start=0.2, stop=0.6))
    bell = schedule(Intervention(concept="a", start=0.2, stop=0.6, schedule="bell"))

    assert constant[199] == constant[601] == 0
    assert constant[200] == constant[600] == 1
    assert bell[400] == pytest.approx(1)
    assert bell[200] == pytest.approx(0)
    assert bell[300] == pytest.approx(bell[500]) == pytest.approx(0.5)
    assert (bell <= constant).all()


def test_windows_in_timesteps() -> None:
    """Timestep 900 down to 300 of 1000 is the fraction 0.1 to 0.7."""
    assert window(900, 300) == pytest.approx((0.1, 0.7))
    with pytest.raises(SteeringError, match="timesteps fall"):
        window(300, 900)


def test_strength_in_units_of_the_activation() -> None:
    """1 adds as much as a typical activation is long, whatever the vector's own length."""
    vector = random_vector("a", {MID: (8, 2, 2)}, activation_norm=7.0)
    plan = Plan.of([[Intervention(concept="a", unit="activation")]])
    added = table(plan, a=vector)[0, 0, 0] * vector.arrays[MID]

    assert position_norm(added) == pytest.approx(7.0, rel=1e-5)


def test_an_unmeasured_unit_is_an_error() -> None:
    """Without a typical norm in the passport, a relative strength means nothing."""
    with pytest.raises(ConceptError, match="no typical activation norm"):
        table(
            Plan.of([[Intervention(concept="a", unit="activation")]]),
            a=random_vector("a", {MID: (8,)}),
        )


def test_the_norm_cap_bounds_the_sum() -> None:
    """Stacked concepts are scaled down together; what is within the cap is left alone."""
    vectors = {n: random_vector(n, {MID: (8,)}, activation_norm=2.0) for n in "abc"}
    stacked = [Intervention(concept=name, strength=5) for name in vectors]
    mild = [Intervention(concept="a", strength=0.1)]
    strengths = table(Plan.of([stacked, mild], norm_cap=1.5), **vectors)[0]
    total = sum(s * v.arrays[MID] for s, v in zip(strengths[0], vectors.values(), strict=True))

    assert position_norm(np.asarray(total)) == pytest.approx(1.5 * 2.0, rel=1e-5)
    np.testing.assert_allclose(strengths[1], [0.1, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(
        table(Plan.of([stacked], norm_cap=None), **vectors)[0, 0], [5, 5, 5], rtol=1e-6
    )


def test_the_norm_cap_goes_by_the_longest_activation() -> None:
    """Where the vectors of a site were measured on activations of different lengths."""
    vectors = {
        name: random_vector(name, {MID: (8,)}, activation_norm=norm)
        for name, norm in (("a", 1.0), ("b", 4.0))
    }
    plan = Plan.of([[Intervention(concept=name, strength=50)] for name in vectors], norm_cap=1.5)

    for row, (k, vector) in zip(
        table(plan, **vectors)[0], enumerate(vectors.values()), strict=True
    ):
        assert position_norm(row[k] * vector.arrays[MID]) == pytest.approx(1.5 * 4.0, rel=1e-5)


def test_one_concept_with_and_without_a_gate_is_an_error() -> None:
    """What that would mean is nowhere said."""
    both = [Intervention(concept="a"), Intervention(concept="a", gate="projection")]
    with pytest.raises(SteeringError, match="with and without a gate"):
        Plan.of([both]).gated(["a"])


def test_vectors_of_one_site_must_fit() -> None:
    """Pooled and spatial vectors mix; two spatial sizes do not."""
    pooled, small, large = (
        random_vector(n, {MID: s}) for n, s in (("p", (8,)), ("s", (8, 2, 2)), ("l", (8, 4, 4)))
    )

    assert stacked(MID, {"p": pooled, "s": small}).shape == (2, 8, 2, 2)
    with pytest.raises(ConceptError, match="one size"):
        stacked(MID, {"s": small, "l": large})


def test_every_phase_has_its_row() -> None:
    """A table covers the whole denoising."""
    assert table(Plan.of([[]]), a=random_vector("a", {MID: (8,)})).shape == (PHASES, 1, 1)


@pytest.mark.parametrize(
    "samples",
    [Intervention(concept="a"), [Intervention(concept="a")], [["a"]], ["a"], None, [None]],
)
def test_anything_but_a_list_per_image_is_an_error(samples: object) -> None:
    """An intervention itself can be iterated over, as pairs of its fields: that is no plan."""
    with pytest.raises(InputError, match=r"one list of interventions per image(?s:.*)\[\[Interv"):
        Plan.of(samples)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "how", [{"start": 0.1}, {"stop": 0.9}, {"schedule": "bell"}, {"gate": "projection"}]
)
def test_which_plans_go_by_time(how: dict[str, Any]) -> None:
    """Those with a window, a bell or a gate that has some strength."""
    always = Intervention(concept="a", strength=-2)

    assert not Plan.of([[], [always]]).timed
    assert Plan.of([[], [always, Intervention(concept="b", **how)]]).timed
    assert not Plan.of([[always, Intervention(concept="b", strength=0, **how)]]).timed
