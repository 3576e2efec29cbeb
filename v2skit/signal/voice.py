"""Speech in another voice, as fast as it was: pitch and formants shifted by one factor."""

from __future__ import annotations

import numpy as np
import torch
import torchaudio

from v2skit.signal.tempo import change_tempo

STEP = 100
"""Factors are rounded to a hundredth, so that resampling is by a ratio of small numbers."""


def shift_voice(waveform: np.ndarray, factor: float, sample_rate: int) -> np.ndarray:
    """Pitch and formants ``factor`` times as high, as of a smaller talker: WSOLA makes the speech slower, resampling as
    much faster again.

    Args:
        waveform: float32 (N,).
        factor: above 1 for a higher voice; rounded to a hundredth.
        sample_rate: Hz.

    Returns:
        float32 (N,), clipped to -1..1.
    """
    ratio = round(factor * STEP)
    if ratio == STEP or not len(waveform):
        return waveform
    slower = change_tempo(waveform, -(-len(waveform) * ratio // STEP), sample_rate)
    faster = torchaudio.functional.resample(torch.from_numpy(slower), ratio, STEP).numpy()
    return np.clip(faster[: len(waveform)], -1, 1)
