"""Bootstrap intervals: where they lie, how wide they are, and that they repeat."""

import numpy as np
import pytest

from v2skit.evaluation.bootstrap import interval


def mean_of(values):
    return values, np.ones(len(values))


def test_the_interval_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    mean, low, high = interval(mean_of(values), resamples=10000, seed=1)
    error = values.std() / np.sqrt(len(values))
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.1 * error)


def test_it_covers_the_true_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        _, low, high = interval(mean_of(random.exponential(1.0, 60)), resamples=400, seed=seed)
        covered += low <= 1.0 <= high
    assert 0.88 <= covered / 300 <= 0.98


def test_it_is_a_function_of_the_seed_whatever_the_portions(monkeypatch):
    values = mean_of(np.random.default_rng(0).normal(size=50))
    first = interval(values, resamples=1000, seed=1)
    assert interval(values, resamples=1000, seed=1) == first != interval(values, resamples=1000, seed=2)
    monkeypatch.setattr("v2skit.evaluation.bootstrap._MAX_DRAWS", 777)
    assert interval(values, resamples=1000, seed=1) == first


def test_a_ratio_weighs_long_files_more():
    edits, words = np.array([1.0, 0.0]), np.array([1.0, 9.0])
    rate, low, high = interval((edits, words), resamples=500, seed=1)
    assert rate == 0.1 and low == 0.0 and high == 1.0


def test_a_paired_difference_sees_a_gap_that_the_single_intervals_hide():
    random = np.random.default_rng(0)
    difficulty = random.normal(0.5, 0.2, 40)
    better, worse = difficulty + 0.05, difficulty + random.normal(0, 0.01, 40)
    (_, low_better, _), (_, _, high_worse) = (interval(mean_of(v), resamples=2000, seed=1) for v in (better, worse))
    assert low_better < high_worse
    gap, low, high = interval(mean_of(better), mean_of(worse), resamples=2000, seed=1)
    assert 0 < low < gap < high < 0.1 and gap == pytest.approx((better - worse).mean())
    _, low, high = interval(mean_of(worse), mean_of(difficulty), resamples=2000, seed=1)
    assert low < 0 < high


def test_one_file_has_an_interval_of_no_width():
    assert interval(mean_of(np.array([2.5])), resamples=10, seed=1) == (2.5, 2.5, 2.5)
