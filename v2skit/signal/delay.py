"""Delayed waveforms."""

from __future__ import annotations

import numpy as np


def delayed(waveform: np.ndarray, samples: int) -> np.ndarray:
    """The waveform (N,) later by a number of samples, earlier where it is negative; of the same length, zero beyond its
    ends."""
    out = np.zeros_like(waveform)
    if samples >= 0:
        out[samples:] = waveform[: max(0, len(waveform) - samples)]
    else:
        out[:samples] = waveform[-samples:]
    return out
