"""Percentile bootstrap (Efron 1979) over files: confidence intervals of means, ratios and paired differences."""

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
    files = len(table)
    generator = np.random.default_rng(seed)
    at_once = max(1, _MAX_DRAWS // files)
    sums = [
        table[generator.integers(files, size=(min(at_once, resamples - start), files))].sum(axis=1)
        for start in range(0, resamples, at_once)
    ]
    low, high = np.percentile(_statistic(np.concatenate(sums)), [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(_statistic(table.sum(axis=0, keepdims=True))[0]), float(low), float(high)


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
