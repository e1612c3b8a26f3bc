"""The kit finds a difference in the times of logins, and none where there is none."""

from __future__ import annotations

import random

import pytest

from kits.attacks.ranks import probability_of_chance
from kits.attacks.timing import KINDS, verdicts


def times(**offsets: float) -> dict[str, list[float]]:
    """200 logins of each kind, around 30 ms; `offsets` are in milliseconds."""
    noise = random.Random(1)
    return {
        kind: [0.03 + offsets.get(kind, 0) / 1000 + noise.gauss(0, 0.002) for _ in range(200)]
        for kind in KINDS
    }


def failed(measured: dict[str, list[float]]) -> list[str]:
    return [each.subject.split()[0] for each in verdicts(measured) if not each.passed]


def test_equal_times_pass() -> None:
    assert failed(times()) == []


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("offset", [-2.0, 2.0, 1.0])
def test_a_kind_that_takes_another_time_fails(kind: str, offset: float) -> None:
    assert failed(times(**{kind: offset})) == [kind]


def test_a_difference_that_the_medians_do_not_show_fails() -> None:
    measured = times()
    measured["wrong"] = [0.0295] * 95 + [0.0305] * 105
    measured["unknown"] = [0.0305] * 95 + [0.0306] * 105
    assert failed(measured)[0] == "wrong"


@pytest.mark.parametrize(
    ("ones", "others", "expected"),
    [
        ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 0.009023),
        ([1, 2, 3], [1, 2, 3], 1.0),
        ([7, 7, 7], [7, 7, 7], 1.0),
        ([1, 2, 2, 3, 9], [2, 3, 4, 4, 5], 0.2873),
    ],
)
def test_the_rank_test_agrees_with_hand_made_figures(
    ones: list[float], others: list[float], expected: float
) -> None:
    assert probability_of_chance(ones, others) == pytest.approx(expected, abs=0.001)
    assert probability_of_chance(others, ones) == pytest.approx(expected, abs=0.001)


def test_samples_of_one_distribution_seldom_differ() -> None:
    noise = random.Random(2)
    found = 0
    for _ in range(300):
        ones, others = ([noise.random() for _ in range(40)] for _ in range(2))
        found += probability_of_chance(ones, others) < 0.05
    assert 5 <= found <= 28
