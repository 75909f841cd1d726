"""Fair draws: exact counts, joint balance, and the same draw for ever."""

import subprocess
import sys
from collections import Counter
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safegen.policy.draw import Attributes, draw, possible_counts

GENDER = {"woman": 0.5, "man": 0.5}
TONE = {"light": 1 / 3, "medium": 1 / 3, "dark": 1 / 3}
FIXED = ["b", "a", "b", "a", "a", "b"]
UNEVEN = {"a": 0.5, "b": 0.3, "c": 0.2}


@pytest.mark.parametrize("seed", range(20))
def test_quotas_are_exact_where_they_can_be(seed: int) -> None:
    """Twelve images are six of each gender, four of each tone, and two of each pair."""
    images = draw({"gender": (GENDER, "quota"), "tone": (TONE, "quota")}, 12, f"p/{seed}")

    assert Counter(image["gender"] for image in images) == {"woman": 6, "man": 6}
    assert Counter(image["tone"] for image in images) == {"light": 4, "medium": 4, "dark": 4}
    assert set(Counter((i["gender"], i["tone"]) for i in images).values()) == {2}


def test_rounded_thirds_are_thirds() -> None:
    """Shares that sum to a little less than 1 are drawn as parts of their sum."""
    rounded = dict.fromkeys(TONE, 0.33)
    for seed in range(20):
        images = draw({"tone": (rounded, "quota")}, 9, f"p/{seed}")
        assert Counter(image["tone"] for image in images) == dict.fromkeys(TONE, 3)
    drawn = Counter(image["tone"] for image in draw({"tone": (rounded, "random")}, 3000, "p/0"))
    assert max(drawn.values()) < 1100


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 10, 11])
@pytest.mark.parametrize("seed", range(10))
def test_pairs_are_balanced_too(count: int, seed: int) -> None:
    """Every pair gets the floor or the ceiling of what the counts of its two values make it."""
    images = draw({"gender": (GENDER, "quota"), "tone": (TONE, "quota")}, count, f"p/{seed}")
    genders = Counter(image["gender"] for image in images)
    tones = Counter(image["tone"] for image in images)
    pairs = Counter((image["gender"], image["tone"]) for image in images)
    for gender in GENDER:
        for tone in TONE:
            exact = round(genders[gender] * tones[tone] / count, 9)
            assert floor(exact) <= pairs[gender, tone] <= ceil(exact)


def test_three_attributes_are_balanced_jointly() -> None:
    """Twelve images over 2 x 3 x 2 values show every combination once."""
    age = {"young": 0.5, "old": 0.5}
    three: Attributes = {
        "gender": (GENDER, "quota"),
        "tone": (TONE, "quota"),
        "age": (age, "quota"),
    }
    images = draw(three, 12, "p/0")

    assert len({tuple(image.values()) for image in images}) == 12


@given(st.integers(1, 40), st.text(max_size=8))
def test_quotas_are_never_off_by_one(count: int, key: str) -> None:
    """Each value gets the floor or the ceiling of its share, whatever the count and key."""
    counts = Counter(image["x"] for image in draw({"x": (UNEVEN, "quota")}, count, key))

    assert sum(counts.values()) == count
    for value, share in UNEVEN.items():
        exact = round(share * count, 9)
        assert floor(exact) <= counts[value] <= ceil(exact)


def test_single_images_meet_the_target_over_many_requests() -> None:
    """Of 2000 requests for one image, the shares are those of the target within 3 sigma."""
    drawn = Counter(draw({"x": (UNEVEN, "quota")}, 1, f"p/{seed}")[0]["x"] for seed in range(2000))

    for value, share in UNEVEN.items():
        assert abs(drawn[value] - 2000 * share) < 3 * (2000 * share * (1 - share)) ** 0.5


def test_random_draws_are_independent() -> None:
    """Counts of random draws vary from request to request, around the target."""
    counts = [
        Counter(image["x"] for image in draw({"x": (GENDER, "random")}, 10, f"p/{seed}"))["woman"]
        for seed in range(200)
    ]

    assert len(set(counts)) > 4
    assert abs(sum(counts) - 1000) < 3 * (2000 / 4) ** 0.5


def test_random_draws_of_two_attributes_are_independent() -> None:
    """Also in single images: no pair of values comes of one draw."""
    both: Attributes = {"gender": (GENDER, "random"), "age": ({"old": 0.5, "young": 0.5}, "random")}
    pairs = Counter(tuple(draw(both, 1, f"p/{seed}")[0].values()) for seed in range(400))

    assert len(pairs) == 4
    assert min(pairs.values()) > 60


def test_attributes_in_single_images_are_independent() -> None:
    """Over many one-image requests every pair comes up as often as its share says."""
    both: Attributes = {"gender": (GENDER, "quota"), "tone": (TONE, "quota")}
    pairs = Counter(tuple(draw(both, 1, f"p/{seed}")[0].values()) for seed in range(1800))

    assert len(pairs) == 6
    assert all(abs(count - 300) < 4 * (1800 / 6 * 5 / 6) ** 0.5 for count in pairs.values())


def test_the_order_is_shuffled() -> None:
    """Which image gets which value depends on the seed."""
    firsts = {draw({"x": (GENDER, "quota")}, 4, f"p/{seed}")[0]["x"] for seed in range(20)}

    assert firsts == {"woman", "man"}


def test_the_same_in_every_process() -> None:
    """A draw does not depend on the process, and stays as it was when this test was written."""
    code = (
        "from safegen.policy.draw import draw;"
        "print([i['x'] for i in draw({'x': ({'a': 0.5, 'b': 0.5}, 'quota')}, 6, 'k')])"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert fresh.stdout.strip() == str(FIXED), fresh.stderr
    assert [i["x"] for i in draw({"x": ({"a": 0.5, "b": 0.5}, "quota")}, 6, "k")] == FIXED


def test_nothing_to_draw() -> None:
    """Without attributes each image draws nothing."""
    assert draw({}, 3, "p") == [{}, {}, {}]


@pytest.mark.parametrize("target", [GENDER, TONE, UNEVEN, {"a": 0.95, "b": 0.05}])
@pytest.mark.parametrize("count", [1, 3, 4, 10])
def test_possible_counts(target: dict[str, float], count: int) -> None:
    """They are the fewest and the most images that quotas ever give a value."""
    seen = [
        Counter(image["x"] for image in draw({"x": (target, "quota")}, count, f"p/{seed}"))
        for seed in range(200)
    ]

    assert possible_counts(target, count) == {
        value: (min(each[value] for each in seen), max(each[value] for each in seen))
        for value in target
    }
