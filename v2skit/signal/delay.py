"""Delays between signals."""

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


def peaks(curves: np.ndarray) -> np.ndarray:
    """Curves (N,L) -> places of their maxima (N,), 0 to L - 1, refined by a parabola through their neighbours."""
    top = curves.argmax(1)
    inner = top.clip(1, curves.shape[1] - 2)
    before, at, after = (curves[np.arange(len(curves)), inner + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    refined = np.where((inner == top) & (bend < 0), 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return top + refined
