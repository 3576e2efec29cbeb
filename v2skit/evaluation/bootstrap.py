"""Percentile bootstrap (Efron 1979) over files, talkers and seeds: intervals of means, ratios and differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

LEVEL = 95
"""Confidence level of the interval, %."""
_MAX_DRAWS = 2_000_000  # drawn at a time, which bounds the memory


def interval(*terms: tuple[np.ndarray, np.ndarray], resamples: int, seed: int) -> tuple[float, float, float]:
    """Confidence interval of a ratio of sums over files, or of the difference of two such ratios.

    A mean is a ratio whose denominator is 1 for each file; the word error rate is the ratio of edits to words, in which
    long sentences have a larger weight. For a paired difference, both ratios are of the same files in the same order,
    and are resampled together.

    Args:
        terms: (numerator (n,), denominator (n,)) of one ratio, or of two for the first minus the second;
            n > 0 files.
        resamples: number of times that n files are drawn with replacement.
        seed: of the random draws.

    Returns:
        the statistic over all files, and its 2.5th and 97.5th percentiles over the resamples.
    """
    table = np.stack([column for term in terms for column in term], axis=1).astype(np.float64)  # (n, 2 or 4)
    low, high = _percentiles(_statistic(_resampled_sums(table, resamples, seed)))
    return float(_statistic(table.sum(axis=0, keepdims=True))[0]), low, high


def seeds_interval(*groups: np.ndarray, resamples: int, seed: int, paired: bool = False) -> tuple[float, float, float]:
    """Confidence interval of a system with several seeds, or of the difference of two such systems.

    Files are resampled, the same for all seeds and systems. In every resample, the mean over S seeds varies as
    Student's t with S - 1 degrees of freedom times the standard error of that mean: drawing the few seeds themselves
    with replacement, a bootstrap on two levels, gives intervals that are far too narrow. A single seed adds nothing,
    its interval is of this one training.

    Args:
        groups: (S, n, 2) numerators and denominators of one system, or of two for the first minus the second; the files
            are the same in the same order, S may differ. For intervals over talkers, the sums over each talker's files.
        resamples: number of times that n files are drawn with replacement.
        seed: of the random draws.
        paired: seed s of both systems has a cause of variation in common, such as the same pre-training.

    Returns:
        the statistic over all files and seeds, and its 2.5th and 97.5th percentiles.
    """
    columns = [group.transpose(1, 0, 2).reshape(group.shape[1], -1) for group in groups]  # (n, 2 S) each
    sums = _resampled_sums(np.concatenate(columns, axis=1).astype(np.float64), resamples, seed)
    parts = np.split(sums, np.cumsum([column.shape[1] for column in columns])[:-1], axis=1)
    rates = [part[:, ::2] / part[:, 1::2] for part in parts]  # (resamples, S)
    wholes = [group[..., 0].sum(1) / group[..., 1].sum(1) for group in groups]  # (S,)
    if paired and len(groups) == 2:
        rates, wholes = [rates[0] - rates[1]], [wholes[0] - wholes[1]]
    generator = np.random.default_rng([seed, len(sums)])
    signs = (1, -1)
    draws = sum(sign * (rate.mean(1) + _seed_noise(rate, generator)) for sign, rate in zip(signs, rates))
    mean = sum(sign * float(whole.mean()) for sign, whole in zip(signs, wholes))
    return mean, *_percentiles(np.asarray(draws))


def _seed_noise(rates: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Of each row (resamples, S): a draw of the error of its mean."""
    seeds = rates.shape[1]
    if seeds == 1:
        return np.zeros(len(rates))
    return generator.standard_t(seeds - 1, size=len(rates)) * rates.std(axis=1, ddof=1) / np.sqrt(seeds)


def _resampled_sums(table: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """(n, C) -> (resamples, C): the sums over n rows that are drawn with replacement."""
    files = len(table)
    generator = np.random.default_rng(seed)
    at_once = max(1, _MAX_DRAWS // files)
    return np.concatenate([
        table[generator.integers(files, size=(min(at_once, resamples - start), files))].sum(axis=1)
        for start in range(0, resamples, at_once)
    ])  # fmt: skip


def _percentiles(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(draws, [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(low), float(high)


def summary(*columns: Mapping[str, tuple[float, float]], resamples: int, seed: int) -> dict[str, Any]:
    """Statistic and :func:`interval` over the files that all columns have.

    Args:
        columns: id of a file -> its terms of numerator and denominator; of one system, or of two for the paired
            difference of the first minus the second.
        resamples: as for :func:`interval`.
        seed: as for :func:`interval`.

    Returns:
        ``mean``, ``low``, ``high``, rounded to six decimals, or None without files; and ``n``, the number of files.
    """
    ids = [i for i in columns[0] if all(i in column for column in columns)]
    if not ids:
        return {"mean": None, "low": None, "high": None, "n": 0}
    terms = [tuple(np.array([column[i] for i in ids]).T) for column in columns]
    mean, low, high = (round(v, 6) for v in interval(*terms, resamples=resamples, seed=seed))
    return {"mean": mean, "low": low, "high": high, "n": len(ids)}


def _statistic(sums: np.ndarray) -> np.ndarray:
    """Sums of numerators and denominators (R, 2 or 4) -> ratio or difference of ratios (R,)."""
    ratios = sums[:, ::2] / sums[:, 1::2]
    return ratios[:, 0] if ratios.shape[1] == 1 else ratios[:, 0] - ratios[:, 1]
