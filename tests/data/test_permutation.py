"""Keyed permutations: bijective, the same on all machines, and pseudo-random."""

import numpy as np
import pytest

from v2skit.data.permutation import Permutation


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 12, 16, 17, 1000, 99_991])
def test_every_number_once(count):
    for epoch in range(3):
        shuffled = Permutation(count, 1, epoch, 0)(np.arange(count))
        assert np.array_equal(np.sort(shuffled), np.arange(count))


def test_a_part_equals_that_part_of_the_whole():
    permutation = Permutation(1000, 1, 2, 3)
    whole = permutation(np.arange(1000))
    assert np.array_equal(permutation(np.array([7, 999, 0])), whole[[7, 999, 0]])


def test_the_order_is_fixed():
    assert Permutation(10, 1, 2, 3)(np.arange(10)).tolist() == [0, 8, 1, 7, 3, 6, 2, 4, 5, 9]


def test_every_key_counts():
    orders = [Permutation(1000, *keys)(np.arange(1000)) for keys in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)]]
    assert all((a != b).mean() > 0.98 for n, a in enumerate(orders) for b in orders[:n])


@pytest.mark.parametrize("count", [2, 3, 6, 13])
def test_every_number_comes_everywhere_equally_often(count):
    draws = 3000
    table = np.zeros((count, count))
    for epoch in range(draws):
        table[np.arange(count), Permutation(count, 1, epoch, 0)(np.arange(count))] += 1
    chi_squared = np.square(table - draws / count).sum() / (draws / count)
    freedom = (count - 1) ** 2
    assert chi_squared < freedom + 5 * np.sqrt(2 * freedom)


def test_no_order_is_visible():
    count = 100_000
    shuffled = Permutation(count, 1, 0, 0)(np.arange(count))
    for lag in (1, 2, 317):  # 317 columns
        assert abs(np.corrcoef(shuffled[:-lag], shuffled[lag:])[0, 1]) < 0.02
    assert abs(np.corrcoef(np.arange(count), shuffled)[0, 1]) < 0.02
    steps = np.diff(shuffled)
    assert np.unique(steps).size > 0.7 * np.unique(np.diff(np.random.default_rng(0).permutation(count))).size
    squares = np.histogram2d(np.arange(count), shuffled, bins=20)[0]
    assert np.square(squares - 250).sum() / 250 < 361 + 5 * np.sqrt(2 * 361)
