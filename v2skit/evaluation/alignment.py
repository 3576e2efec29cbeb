"""The lag of a hypothesis against its reference, for scores of the hypothesis shifted by it."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch

from v2skit.config.features import Clock, Mel
from v2skit.evaluation.metrics import check_pair, resample
from v2skit.signal.delay import peaks
from v2skit.signal.mel import MelSpectrogram

LAG = "lag_ms"
"""Name of the lag among the time-aligned scores."""

MAX_LAG_MS, RANGE_DB = 100, 40.0
PROTOCOL = (
    f"lag of the hypothesis, ms, positive: late; maximum, within {MAX_LAG_MS} ms, of the correlation of the "
    f"80-bin log mels (24 kHz, 50 ms Hann, 10 ms hop, 0-12 kHz, {RANGE_DB:g} dB), refined by a parabola"
)
_CLOCK = Clock()


@functools.cache
def _spectrogram() -> MelSpectrogram:
    return MelSpectrogram(_CLOCK, Mel())


def find_lag(reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> int:
    """The lag of a hypothesis in samples, see :data:`PROTOCOL`; 0 where one of the two does not change, as silence, or
    both are shorter than a window.

    Args:
        reference: ground-truth waveform (N,).
        hypothesis: synthesised waveform (N,).
        rate: sample rate of both, Hz.

    Raises:
        MetricError: as :func:`v2skit.evaluation.metrics.check_pair`.
    """
    return _maximum(reference, hypothesis, rate)[0]


def measurable_lag(reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> int | None:
    """The same, or None where there is no lag: one of the two does not change, as silence, both are shorter than a
    window, or the maximum is at a bound of the search."""
    if not reference.any():
        return None
    lag, is_inner = _maximum(reference, hypothesis, rate)
    return lag if is_inner else None


def _maximum(reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> tuple[int, bool]:
    """The lag in samples, and whether it is a maximum of the correlation within the bounds of the search."""
    spectrogram, natural = _spectrogram(), RANGE_DB / 20 * math.log(10)
    hop, sample_rate = spectrogram.mel.hop, _CLOCK.sample_rate
    waveforms = np.stack([resample(w, rate, sample_rate) for w in check_pair(reference, hypothesis)])
    if waveforms.shape[1] < spectrogram.mel.window or not np.ptp(waveforms, axis=1).all():
        return 0, False
    with torch.no_grad():
        mels = spectrogram(torch.from_numpy(waveforms[:, : waveforms.shape[1] // hop * hop]))  # (2, F, M)
    truth, guess = torch.maximum(mels, mels.amax((1, 2), keepdim=True) - natural).numpy()
    max_frames = min(MAX_LAG_MS * sample_rate // 1000 // hop, len(truth) - 2)
    if max_frames < 1 or min(truth.std(0).max(), guess.std(0).max()) < 1e-3:
        return 0, False  # without changes the correlation is 0 or rounding errors, and has no maximum
    curve = [_correlation(truth[: len(truth) - lag], guess[lag:]) for lag in range(max_frames + 1)]
    early = [_correlation(truth[lag:], guess[: len(guess) - lag]) for lag in range(max_frames, 0, -1)]
    found = float(peaks(np.array([early + curve]))[0]) - max_frames
    return round(found * hop / sample_rate * rate), abs(found) < max_frames


def _correlation(truth: np.ndarray, guess: np.ndarray) -> float:
    """Correlation of changes over time of two log mels (F,M)."""
    truth, guess = truth - truth.mean(0), guess - guess.mean(0)
    return float((truth * guess).sum() / (np.linalg.norm(truth) * np.linalg.norm(guess) + 1e-9))
