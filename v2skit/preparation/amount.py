"""Estimated amounts with confidence intervals, from random samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Amount:
    """An estimate: ``value``, and the half width ``half`` of its 95 % interval."""

    value: float
    half: float = 0.0

    def __mul__(self, other: Amount) -> Amount:
        return Amount(self.value * other.value, math.hypot(self.half * other.value, self.value * other.half))


def total(amounts: Sequence[Amount]) -> Amount:
    """The sum of independent estimates."""
    return Amount(sum(amount.value for amount in amounts), math.hypot(*(amount.half for amount in amounts)))


def ratio(amounts: Sequence[float], units: Sequence[float], population: int) -> Amount:
    """Amount per unit, from a random sample (ratio estimator: Cochran, Sampling Techniques, 1977, ch. 6).

    Args:
        amounts: of each item of the sample.
        units: of each item; not all 0.
        population: size of the population; the result is exact where the sample is all of it.
    """
    y, x = np.asarray(amounts, float), np.asarray(units, float)
    count = len(x)
    value = float(y.sum() / x.sum())
    if count == population:
        return Amount(value)
    from scipy.special import stdtrit

    variance = np.square(y - value * x).sum() / (count - 1) * count * (1 - count / population)
    return Amount(value, float(stdtrit(count - 1, (1 + CONFIDENCE) / 2) * np.sqrt(variance) / x.sum()))
