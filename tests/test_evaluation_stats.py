"""Shares, deviation ratios, and how sure one can be of them."""

import numpy as np
import pytest

from safegen.evaluation.stats import (
    by_prompt,
    deviation_ratio,
    expected_maximum,
    mean,
    mean_deviation,
    noise_floor,
    share,
    share_by_prompt,
    share_of,
)


def test_a_share_and_wilsons_interval() -> None:
    """8 of 10: the interval of Wilson's formula, as tables of it give."""
    found = share([True] * 8 + [False] * 2)
    assert (found.value, found.low, found.high, found.n) == (0.8, 0.4902, 0.9433, 10)


def test_a_share_of_counts() -> None:
    """Counting first gives the same; of nothing there is no share."""
    assert share_of(8, 10) == share([True] * 8 + [False] * 2)
    with pytest.raises(ValueError, match="no observation"):
        share_of(0, 0)


def test_one_image_a_prompt_is_a_share_as_any() -> None:
    """Nothing is alike where every prompt has one image."""
    assert share_by_prompt([[True]] * 8 + [[False]] * 2 + [[]]) == share_of(8, 10)
    with pytest.raises(ValueError, match="no observation"):
        share_by_prompt([[], []])


def test_a_prompt_that_stands_twice_in_a_file_is_one() -> None:
    """What was seen of it is in one row, in the order in which it came."""
    assert by_prompt([("a", [True]), ("b", [True]), ("a", [False])]) == [[True, False], [True]]


def test_images_that_their_prompt_decides_count_once() -> None:
    """20 prompts whose 12 images are all alike tell as much as 20 images; n says what was seen."""
    rows = [[number < 5] * 12 for number in range(20)]
    found, once = share_by_prompt(rows), share_of(5, 20)
    assert (found.value, found.n) == (once.value, 240)
    assert found.low == pytest.approx(once.low, abs=0.01)
    assert found.high == pytest.approx(once.high, abs=0.01)


def test_images_that_their_prompt_does_not_decide_all_count() -> None:
    """Every prompt with the same share: as many as images, but for what few prompts cannot tell."""
    few, many = (share_by_prompt([[True, False, False]] * prompts) for prompts in (10, 100))
    assert share_of(10, 30).high < few.high < share_of(7, 21).high
    assert many.low == pytest.approx(share_of(100, 300).low, abs=0.002)
    assert many.high == pytest.approx(share_of(100, 300).high, abs=0.002)


@pytest.mark.parametrize("value", [True, False])
def test_nothing_seen_is_no_proof_beyond_the_prompts(value: bool) -> None:
    """0 of 60 images of 3 prompts leave open about one in two."""
    found, once = share_by_prompt([[value] * 20] * 3), share([value] * 3)
    assert (found.low, found.high, found.n) == (once.low, once.high, 60)


@pytest.mark.parametrize(("prompts", "images"), [(3, 20), (3, 200), (20, 4), (20, 60), (2, 2)])
def test_one_bad_image_proves_no_more_than_none(prompts: int, images: int) -> None:
    """It was taken for proof that images of a prompt differ: 9 % at most, of 0 of them 56 %."""
    none = [[False] * images for _ in range(prompts)]
    one = [[True, *none[0][1:]], *none[1:]]
    assert share_by_prompt(one).high > share_by_prompt(none).high
    turned = [[not each for each in row] for row in one]
    assert share_by_prompt(turned).low < 1 - share_by_prompt(none).high


def test_a_prompt_with_most_images_is_still_one_prompt() -> None:
    """100 images of one prompt and one of each of 5 others tell about one prompt, mostly."""
    found = share_by_prompt([[False] * 100, *[[False]] * 5])
    assert found.high == pytest.approx(share_of(0, 1).high, abs=0.03)


@pytest.mark.parametrize(("share", "sizes"), [(0.05, [12] * 20), (0.5, [36] * 4 + [6] * 16)])
def test_intervals_hold_rare_things_and_unequal_rows(share: float, sizes: list[int]) -> None:
    """Simulated: 83 and 88 of 100 runs before, at a correlation of 0.4."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        own = rng.beta(share * 1.5, (1 - share) * 1.5, size=len(sizes))
        rows = [(rng.random(m) < p).tolist() for m, p in zip(sizes, own, strict=True)]
        found = share_by_prompt(rows)
        held += found.low <= share <= found.high
    assert held > 0.92 * 400


def test_one_prompt_tells_next_to_nothing() -> None:
    """Two of three images of one prompt: the interval is that of a single observation."""
    found = share_by_prompt([[True, False, True]])
    assert (found.value, found.n) == (0.6667, 3)
    assert found.high - found.low > 0.75


def test_intervals_hold_what_they_promise_where_images_are_alike() -> None:
    """Simulated: 95 % intervals hold the true share in 93 of 100 runs, and Wilson's in 70."""
    rng = np.random.default_rng(0)
    held = {"by prompt": 0, "independent": 0}
    for _ in range(400):
        shares = rng.beta(0.5, 0.5, size=40)
        seen = rng.random((40, 10)) < shares[:, None]
        for name, found in (
            ("by prompt", share_by_prompt(seen.tolist())),
            ("independent", share_of(int(seen.sum()), seen.size)),
        ):
            held[name] += found.low <= 0.5 <= found.high
    assert held["by prompt"] > 0.92 * 400
    assert held["independent"] < 0.75 * 400


def test_the_expected_maximum_is_that_of_25_draws() -> None:
    """Where one prompt in twenty always does harm, 25 draws meet one in 72 of 100 cases."""
    found = expected_maximum([0.0] * 95 + [1.0] * 5)
    assert found.value == pytest.approx(1 - 0.95**25, abs=0.02)
    assert (found.low, found.high, found.n) == (0, 1, 100)
    with pytest.raises(ValueError, match="no prompt"):
        expected_maximum([])


def test_none_of_a_hundred_is_not_never() -> None:
    """The interval of 0 of 100 starts at 0 and ends near 3.7 %."""
    found = share([False] * 100)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(0.037, abs=5e-4)


@pytest.mark.parametrize(
    ("counts", "ratio"), [((5, 5), 0), ((10, 0), 1), ((4, 4, 4), 0), ((9, 0, 0), 1), ((3, 1), 0.5)]
)
def test_deviation_ratio(counts: tuple[int, ...], ratio: float) -> None:
    """0 for an even spread, 1 where all fall into one group, |p - 1/2| / (1/2) for two."""
    assert deviation_ratio(counts) == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("counts", "target", "ratio"),
    [
        ((3, 1), (0.75, 0.25), 0),
        ((0, 4), (0.75, 0.25), 1),
        ((2, 2), (0.75, 0.25), 1 / 3),
        ((3, 1), (0.5, 0.5), 0.5),
        ((2, 2, 0), (0.5, 0.5, 0), 0),
    ],
)
def test_deviation_from_a_target(
    counts: tuple[int, ...], target: tuple[float, ...], ratio: float
) -> None:
    """0 at the target, 1 where all fall into its least group; even targets give the paper's."""
    assert deviation_ratio(counts, target) == pytest.approx(ratio)


@pytest.mark.parametrize("counts", [(), (5,), (0, 0)])
def test_nothing_to_compare(counts: tuple[int, ...]) -> None:
    """Without two groups and an image there is no ratio, and no figure comes out."""
    with pytest.raises(ValueError, match="at least two groups"):
        deviation_ratio(counts)


def test_means_of_nothing_are_errors() -> None:
    """No figure rests on nothing."""
    for measured in (share, mean):
        with pytest.raises(ValueError, match="no observation"):
            measured([])


def test_mean_deviation_brackets_its_value() -> None:
    """The mean over occupations, within its interval, the same for the same seed."""
    tables = [(10, 10), (12, 8), (20, 0)]
    found = mean_deviation(tables, seed=3)
    assert found.value == pytest.approx((0 + 0.2 + 1) / 3, abs=1e-4)
    assert found.low <= found.value <= found.high
    assert found == mean_deviation(tables, seed=3)


def test_two_unlike_occupations_say_little_of_others() -> None:
    """However many images there are of each: occupations are resampled, and not images alone."""
    found = mean_deviation([(1000, 1000), (2000, 0)])
    assert found.low < 0.1
    assert found.high > 0.9


def test_mean_deviation_from_targets() -> None:
    """Each occupation has its own; with even ones every bit is that of none."""
    tables = [(30, 10), (10, 10), (16, 4)]
    found = mean_deviation(tables, targets=[(0.75, 0.25), (0.5, 0.5), (0.8, 0.2)])
    assert found.value == 0
    assert found.low <= found.value < found.high < 0.3
    assert mean_deviation(tables, targets=[(0.5, 0.5)] * 3) == mean_deviation(tables)


@pytest.mark.parametrize("tables", [[[0, 2]] * 3, [[12, 0, 0]] * 20])
def test_a_corner_is_not_certain(tables: list[list[int]]) -> None:
    """All of few images in one group do not prove that all always are; more images prove more."""
    found = mean_deviation(tables)
    more = mean_deviation([[10 * count for count in row] for row in tables])
    assert (found.value, found.high) == (1, 1)
    assert found.low < more.low < 1


def test_an_even_draw_is_not_told_as_uneven() -> None:
    """Ratios near 0 stand within their interval, though resampled images are less even."""
    found = mean_deviation([(51, 51), (50, 52), (52, 50), (51, 51)])
    assert found.low <= found.value <= found.high
    assert found.high < 0.15


@pytest.mark.parametrize(("groups", "images", "floor"), [(2, 100, 0.079), (3, 150, 0.069)])
def test_noise_floor(groups: int, images: int, floor: float) -> None:
    """What a fair random draw shows: the simulated values that the literature's N allow."""
    assert noise_floor(groups, images) == pytest.approx(floor, abs=0.003)
