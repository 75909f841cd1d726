"""Sums, centring and comparison of vectors."""

from dataclasses import replace

import numpy as np
import pytest

from safegen.concepts.arithmetic import centre, compare, compose
from safegen.concepts.vector import ConceptVector
from safegen.errors import ConceptError
from safegen.testing import random_vector

MID, UP = "mid_block", "up_blocks.0"


def pair() -> dict[str, ConceptVector]:
    """Two vectors that share a part; one acts at a second site."""
    a = random_vector("a", {MID: (6, 2, 2), UP: (4,)}, activation_norm=2.0)
    return {"a": a, "b": random_vector("b", {MID: (6, 2, 2)}, activation_norm=4.0)}


def test_a_sum_is_the_weighted_sum() -> None:
    """At every site; where one does not act, it counts as zeros."""
    vectors = pair()
    made = compose("mix", vectors, {"a": 0.25, "b": 0.75})

    expected = 0.25 * vectors["a"].arrays[MID] + 0.75 * vectors["b"].arrays[MID]
    assert np.allclose(made.arrays[MID], expected)
    assert np.allclose(made.arrays[UP], 0.25 * vectors["a"].arrays[UP])
    assert made.passport.concept == "mix"
    assert made.passport.settings["digest of a"] == vectors["a"].digest
    assert made.passport.activation_norms == {MID: 3.0, UP: 2.0}


def test_an_unmeasured_norm_is_not_guessed() -> None:
    """One part without a typical norm: the sum has none there."""
    vectors = pair() | {"b": random_vector("b", {MID: (6, 2, 2)})}

    assert compose("mix", vectors, {"a": 1, "b": 1}).passport.activation_norms == {UP: 2.0}


def test_licences_add_up() -> None:
    """A sum of vectors under two licences is under both."""
    vectors = pair()
    other = vectors["b"].passport.model_copy(update={"licence": "CC-BY-4.0"})
    vectors["b"] = replace(vectors["b"], passport=other)

    made = compose("mix", vectors, {"a": 1, "b": 1})
    assert made.passport.licence == "Apache-2.0 AND CC-BY-4.0"


def test_centring_takes_out_what_is_shared() -> None:
    """Centred vectors add up to nothing, and differ as before."""
    vectors = pair()
    centred = centre(vectors)

    assert np.allclose(centred["a"].arrays[MID] + centred["b"].arrays[MID], 0, atol=1e-6)
    difference = vectors["a"].arrays[MID] - vectors["b"].arrays[MID]
    assert np.allclose(centred["a"].arrays[MID] - centred["b"].arrays[MID], difference, atol=1e-6)


@pytest.mark.parametrize("weights", [{"a": 0.0, "b": 0.0}])
def test_nothing_is_no_vector(weights: dict[str, float]) -> None:
    """Weights that leave nothing are refused."""
    with pytest.raises(ConceptError, match="nothing is left"):
        compose("mix", pair(), weights)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("weight", [1e39, 1e308])
def test_a_sum_that_is_too_large_is_no_vector(weight: float) -> None:
    """It is told as what it is, and NumPy says nothing of it."""
    with pytest.raises(ConceptError, match="the sum is too large"):
        compose("mix", {"a": pair()["a"]}, {"a": weight})


def test_a_sum_knows_its_model_in_bfloat16() -> None:
    """If one of its parts does."""
    vectors = pair()
    known = vectors["b"].passport.model_copy(update={"model_digest_bfloat16": "sha256:b"})
    vectors["b"] = replace(vectors["b"], passport=known)
    made = compose("mix", vectors, {"a": 1, "b": 1}).passport

    assert all(made.made_for(digest) for digest in (made.model_digest, "sha256:b"))
    assert not any(made.made_for(digest) for digest in ("", "sha256:c"))


def test_one_alone_cannot_be_centred() -> None:
    """It would be its own mean."""
    with pytest.raises(ConceptError, match="at least two"):
        centre({"a": pair()["a"]})


def test_vectors_of_two_models_do_not_add_up() -> None:
    """Nor are they compared."""
    vectors = pair()
    other = vectors["b"].passport.model_copy(update={"model_digest": "sha256:another"})
    vectors["b"] = replace(vectors["b"], passport=other)
    with pytest.raises(ConceptError, match="different models"):
        compose("mix", vectors, {"a": 1, "b": 1})
    with pytest.raises(ConceptError, match="different models"):
        compare(vectors)


def test_shapes_must_fit() -> None:
    """A pooled and a spatial vector do not add up, and the error names both shapes."""
    vectors = pair() | {"b": random_vector("b", {MID: (6,)})}
    with pytest.raises(ConceptError, match=r"\(6, 2, 2\).*\(6,\)"):
        compose("mix", vectors, {"a": 1, "b": 1})


def test_comparison_sees_direction_and_length() -> None:
    """A vector and its double point the same way; against the negative one the cosine is -1."""
    a = pair()["a"]
    twice = compose("twice", {"a": a}, {"a": 2.0})
    against = compose("against", {"a": a}, {"a": -1.0})
    at = compare({"a": a, "twice": twice, "against": against})[MID]

    assert at.cosines[0] == pytest.approx((1, 1, -1))
    assert at.norms[1] == pytest.approx(2 * at.norms[0])
    assert at.relative[0] == pytest.approx(at.norms[0] / 2.0)
    assert 0 < at.pooled[0] < 1
    assert compare({"a": a})[UP].pooled == (1.0,)


def test_pooled_and_spatial_are_compared_by_their_means() -> None:
    """The mean over positions of a vector has the cosine 1 to it."""
    a = pair()["a"]
    mean = a.arrays[MID].mean((1, 2))
    passport = a.passport.model_copy(update={"site_shapes": {MID: (6,)}})
    pooled = ConceptVector(passport, {MID: mean})

    assert compare({"a": a, "pooled": pooled})[MID].cosines[0][1] == pytest.approx(1)


@pytest.mark.parametrize("count", range(2, 9))
def test_the_same_vector_many_times_cannot_be_centred(count: int) -> None:
    """What rounding leaves of it is no concept; with a real part beside, it is."""
    array = random_vector("a", {MID: (6, 2, 2)}).arrays[MID] * np.float32(1.1)
    passport = random_vector("a", {MID: (6, 2, 2)}).passport
    same = {str(number): ConceptVector(passport, {MID: array}) for number in range(count)}
    with pytest.raises(ConceptError, match="nothing is left"):
        centre(same)
    assert len(centre(same | {"b": pair()["b"]})) == count + 1


def test_a_site_where_all_cancels_out_is_left_out() -> None:
    """Zeros there would claim to steer."""
    made = compose("mix", pair(), {"a": 0.0, "b": 1.0})
    assert list(made.arrays) == list(made.passport.site_shapes) == [MID]


def test_weights_are_finite_numbers() -> None:
    """The message is about the weight."""
    with pytest.raises(ConceptError, match="a weight is not finite"):
        compose("mix", pair(), {"a": 1.0, "b": float("nan")})
