"""The rank test of Mann and Whitney."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby


def probability_of_chance(ones: Sequence[float], others: Sequence[float]) -> float:
    """How likely two samples from the same distribution differ in their ranks by this much: the
    two-sided p value, by the normal approximation, which is good from 20 values each.

    Mann and Whitney, On a Test of Whether one of Two Random Variables is Stochastically Larger than
    the Other, 1947; with the correction for ties.
    """
    count, total = len(ones), len(ones) + len(others)
    pooled = sorted([(value, True) for value in ones] + [(value, False) for value in others])
    rank_sum, ties, before = 0.0, 0, 0
    for _, group in groupby(pooled, key=lambda each: each[0]):
        members = [is_one for _, is_one in group]
        rank_sum += sum(members) * (before + (len(members) + 1) / 2)
        ties += len(members) ** 3 - len(members)
        before += len(members)
    pairs = count * len(others)
    u = rank_sum - count * (count + 1) / 2
    variance = pairs / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance == 0:
        return 1.0
    return math.erfc(abs(u - pairs / 2) / math.sqrt(2 * variance))
