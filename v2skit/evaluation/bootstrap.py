"""Percentile bootstrap over files (Efron 1979) of means, of ratios of sums, and of paired differences of either."""

from __future__ import annotations

import numpy as np

LEVEL = 95
"""Per cent of the interval."""
_PICKS_AT_ONCE = 2_000_000  # bounds the memory


def interval(*terms: tuple[np.ndarray, np.ndarray], resamples: int, seed: int) -> tuple[float, float, float]:
    """Of one statistic ``sum(numerator) / sum(denominator)``, or of the first less the second.

    A mean has a denominator of ones; the word error rate is edits over words, so long sentences count for more.
    A paired difference takes the same files for both, in the same order, and resamples them together.

    Args:
        terms: one or two pairs (numerator (n,), denominator (n,)), n > 0 files.
        resamples: how often n files are drawn with replacement.
        seed: of the draws.

    Returns:
        the statistic of all files, and the 2.5 and 97.5 percentiles over the resamples.
    """
    table = np.stack([column for term in terms for column in term], axis=1).astype(np.float64)  # (n, 2 or 4)
    files = len(table)
    generator = np.random.default_rng(seed)
    at_once = max(1, _PICKS_AT_ONCE // files)
    sums = [
        table[generator.integers(files, size=(min(at_once, resamples - start), files))].sum(axis=1)
        for start in range(0, resamples, at_once)
    ]
    low, high = np.percentile(_statistic(np.concatenate(sums)), [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(_statistic(table.sum(axis=0, keepdims=True))[0]), float(low), float(high)


def _statistic(sums: np.ndarray) -> np.ndarray:
    """(R, 2 or 4) -> (R,)."""
    ratios = sums[:, ::2] / sums[:, 1::2]
    return ratios[:, 0] if ratios.shape[1] == 1 else ratios[:, 0] - ratios[:, 1]
