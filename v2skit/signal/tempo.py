"""Speech of another tempo, with its pitch and timbre as they were: WSOLA (Verhelst and Roelands 1993)."""

from __future__ import annotations

import numpy as np

HOP_SECONDS = 0.016
"""Half of a window."""
TOLERANCE_SECONDS = 0.008
"""Largest shift of a window from its place on the new time axis: together the two shifts span a period of 62 Hz."""


def change_tempo(waveform: np.ndarray, length: int, sample_rate: int) -> np.ndarray:
    """Waveform similarity overlap-add: each window is taken from where it continues the one before it best.

    Args:
        waveform: float32 (N,).
        length: samples of the output, at least one.
        sample_rate: Hz.

    Returns:
        float32 (length,); the waveform itself where it has this length.
    """
    if len(waveform) == length:
        return waveform
    hop, tolerance = (max(1, round(seconds * sample_rate)) for seconds in (HOP_SECONDS, TOLERANCE_SECONDS))
    centres = np.rint(np.arange(0, length + 2 * hop, hop) * (len(waveform) / length)).astype(int)
    before = hop + tolerance
    padded = np.pad(waveform, (before, max(0, int(centres[-1]) - len(waveform)) + 3 * hop + tolerance))
    energy = np.cumsum(np.square(padded, dtype=np.float64))
    starts = [before - hop]
    for centre in centres[1:]:
        follows = padded[starts[-1] + hop : starts[-1] + 2 * hop]
        first = centre + before - hop - tolerance
        last = first + 2 * tolerance + 1
        products = np.correlate(padded[first : last + hop - 1], follows)  # of each shift
        powers = energy[first + hop : last + hop] - energy[first:last]
        starts.append(first + int(np.argmax(products / np.sqrt(powers + 1e-9))))
    windows = padded[np.array(starts)[:, None] + np.arange(2 * hop)]  # (K, 2 hop)
    rising = np.sin(np.pi / 2 * (np.arange(hop) + 0.5) / hop).astype(np.float32) ** 2
    return (windows[1:, :hop] * rising + windows[:-1, hop:] * rising[::-1]).reshape(-1)[:length]
