"""Bootstrap intervals: where they lie, how wide they are, and that they repeat."""

import numpy as np
import pytest

from v2skit.evaluation.bootstrap import interval, seeds_interval


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


def scores_of_seeds(random, seeds, files, of_seed=0.0, of_file=0.1, level=1.0):
    """(S, n, 2): a level with errors of the seed, of the file, which all seeds share, and of both."""
    shared = np.random.default_rng(99).normal(0, of_file, files)
    means = level + random.normal(0, of_seed, (seeds, 1)) + shared + random.normal(0, 0.01, (seeds, files))
    return np.stack([means, np.ones_like(means)], axis=-1)


def test_one_seed_has_the_interval_over_files():
    values = scores_of_seeds(np.random.default_rng(0), 1, 80)
    other = scores_of_seeds(np.random.default_rng(1), 1, 80)
    columns = [tuple(v[0].T) for v in (values, other)]
    how = {"resamples": 500, "seed": 3}
    assert seeds_interval(values, **how) == pytest.approx(interval(columns[0], **how))
    assert seeds_interval(values, other, **how) == pytest.approx(interval(*columns, **how))


def test_seeds_of_one_system_differ_by_chance_as_often_as_the_interval_says():
    random, excluded = np.random.default_rng(0), 0
    for trial in range(200):
        a, b = (scores_of_seeds(random, 3, 20, of_seed=0.1) for _ in range(2))
        _, low, high = seeds_interval(a, b, resamples=400, seed=trial)
        excluded += low > 0 or high < 0
    assert excluded / 200 <= 0.06  # resampling three seeds with replacement excludes 0 in 18 % of the trials


def test_the_interval_over_seeds_is_that_of_student():
    values = scores_of_seeds(np.random.default_rng(1), 4, 10, of_seed=0.5, of_file=0.0)
    mean, low, high = seeds_interval(values, resamples=20000, seed=1)
    rates = values[..., 0].mean(1)
    half = 3.182 * rates.std(ddof=1) / 2  # the 97.5th percentile of t with 3 degrees of freedom
    assert mean == pytest.approx(rates.mean()) and (mean - low, high - mean) == pytest.approx((half, half), rel=0.1)


def test_what_the_seeds_of_two_systems_have_in_common_cancels_where_they_are_paired():
    a = scores_of_seeds(np.random.default_rng(1), 3, 40, of_seed=0.3)
    b = a - [0.1, 0.0]
    _, low, high = seeds_interval(a, b, resamples=500, seed=1)
    assert low < 0 < high
    assert seeds_interval(a, b, resamples=500, seed=1, paired=True) == pytest.approx((0.1, 0.1, 0.1))
