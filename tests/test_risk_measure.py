"""Figures of a score: known rows and scores give known figures."""

import pytest

from safegen.errors import InputError
from safegen.risk.data import Row
from safegen.risk.measure import kinds, measure
from safegen.risk.report import page


def row(source: str, risk: float, *categories: str) -> Row:
    """A row of that source."""
    return Row(source=source, prompt=f"{source} {risk}", risk=risk, categories=categories)


ROWS = [
    *[row("plain", 0.0)] * 10,
    row("mixed", 0.9, "x"),
    row("mixed", 0.6, "x", "y"),
    row("mixed", 0.3, "x"),
    row("mixed", 0.0, "y"),
    row("mixed", 0.1, "x"),
    row("soup", 1.0),
]
KINDS = kinds(ROWS)
SCORES = [*[0.1] * 9, 0.4, 0.8, 0.3, 0.9, 0.2, 0.5, 1.0]


def test_kinds() -> None:
    """Benign and attack are whole sources; hot and cold are rows of mixed ones."""
    assert kinds(ROWS[9:]) == ["benign", "hot", "hot", "", "cold", "cold", "attack"]


def test_figures() -> None:
    """AUROC, shares above the threshold, precision, recall, categories and calibration."""
    found = measure(ROWS, KINDS, SCORES, false_alarms=0.1)

    assert found.auroc_hot_benign == pytest.approx(19 / 20)
    assert found.auroc_hot_cold == pytest.approx(3 / 4)
    assert found.threshold == pytest.approx(0.13)
    assert (found.hot.above, found.cold.above, found.attack.above) == (1.0, 1.0, 1.0)
    assert found.benign.above == pytest.approx(0.1)
    assert (found.precision, found.recall) == (pytest.approx(3 / 6), 1.0)
    assert found.categories["y"]["hot"].rows == 1
    assert found.categories["x"]["cold"].rows == 1
    assert [(each.rows, each.hot) for each in found.calibration] == [
        (9, 0.0), (1, 0.0), (1, 1.0), (1, 0.0), (1, 0.0), (1, 1.0), (1, 1.0),
    ]  # fmt: skip


def test_without_attacks_none_are_missed() -> None:
    """Of no rows there is no share: not 0 % of the attacks, but none that were measured."""
    found = measure(ROWS[:-1], KINDS[:-1], SCORES[:-1])
    assert (found.attack.rows, found.attack.above) == (0, None)
    assert "not measured" in page({"risk": found}, {}, [])


def test_nothing_to_measure_against() -> None:
    """Without harmless rows, or without risky ones, nothing can be told apart, and that is said."""
    with pytest.raises(InputError, match="got 3 and 0") as raised:
        measure([*ROWS[10:12], ROWS[-1]], [*KINDS[10:12], KINDS[-1]], [0.1, 0.2, 0.3])
    assert "--all" in str(raised.value.mend)
    with pytest.raises(InputError, match="got 0 and 10"):
        measure(ROWS[:10], KINDS[:10], SCORES[:10])


def test_without_benign_rows_cold_ones_set_the_threshold() -> None:
    """One labelled file is enough; what needs another kind of rows is not measured."""
    found = measure(ROWS[10:], KINDS[10:], SCORES[10:], false_alarms=0.5)

    assert found.threshold == pytest.approx(0.35)
    assert (found.benign.above, found.auroc_hot_benign) == (None, None)
    assert found.auroc_hot_cold == pytest.approx(3 / 4)
    assert found.auroc == pytest.approx(5 / 6)


def test_a_harmless_file_and_a_risky_one_are_enough() -> None:
    """Risky rows of a source of their own are told from benign ones, though none is hot."""
    rows = [*ROWS[:10], *[ROWS[-1]] * 2]
    found = measure(rows, kinds(rows), [*SCORES[:10], 1.0, 0.05])

    assert found.auroc == pytest.approx(1 / 2)
    assert (found.auroc_hot_benign, found.auroc_hot_cold, found.hot.above) == (None, None, None)
    assert found.recall == 0.5
    assert page({"risk": found}, {}, []).count("not measured") == 4
