"""Speech in another voice, of the same tempo: pitch and formants shifted by Praat, each by a factor of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from v2skit.signal.f0 import PERIODS, F0Extractor

HOP_SECONDS = 0.01
EXTRACTOR = F0Extractor()
FORMANTS = 0.25
"""Exponent of the pitch factor that gives that of the formants: a woman's F0 is about 1.7 times a man's, her formants
are about 1.15 times as high (Peterson and Barney 1952)."""


def median_f0(waveforms: Iterable[np.ndarray], sample_rate: int) -> float | None:
    """The median F0 of waveforms.

    Args:
        waveforms: each (N,), in [-1, 1].
        sample_rate: Hz.

    Returns:
        Hz, over the voiced frames of all of them; None where nothing is voiced.

    Raises:
        UserError: praat-parselmouth is not installed.
    """
    hop = round(HOP_SECONDS * sample_rate)
    f0 = np.concatenate([np.zeros(0), *(EXTRACTOR(waveform, sample_rate, hop) for waveform in waveforms)])
    return float(np.median(f0[f0 > 0])) if f0.any() else None


def shift_voice(waveform: np.ndarray, pitch: float, formants: float, sample_rate: int) -> np.ndarray:
    """Shift F0 by TD-PSOLA (Moulines and Charpentier 1990) and formants by resampling: Praat's "Change gender".

    Args:
        waveform: float32 (N,).
        pitch: factor of F0.
        formants: factor of the formants, above 1 as of a shorter vocal tract.
        sample_rate: Hz.

    Returns:
        float32 (N,), clipped to -1..1; unchanged where nothing is voiced.

    Raises:
        UserError: praat-parselmouth is not installed.
    """
    median = median_f0([waveform], sample_rate)
    if median is None:
        return waveform
    import parselmouth  # is there, as median_f0 raises otherwise

    # Praat refuses less than an analysis window, so that the shortest clips need silence around them.
    padding = math.ceil(PERIODS * sample_rate / EXTRACTOR.floor_hz)
    sound = parselmouth.Sound(np.pad(waveform.astype(np.float64), padding), sample_rate)
    bounds = EXTRACTOR.floor_hz, EXTRACTOR.ceiling_hz
    shifted = parselmouth.praat.call(sound, "Change gender", *bounds, formants, median * pitch, 1.0, 1.0).values[0]
    return np.clip(shifted[padding : padding + len(waveform)], -1, 1).astype(np.float32)
