"""The fundamental frequency (F0) of speech, frame by frame, computed by Praat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from v2skit.config.limits import check_range
from v2skit.errors import UserError
from v2skit.system.extras import needs

PERIODS = 3
"""Periods of the lowest F0 in Praat's analysis window."""


def check_f0_range(settings: Any) -> None:
    """Raises UserError where ``floor_hz`` and ``ceiling_hz`` of the settings, Hz, are no range of F0."""
    check_range(settings, floor_hz=(10, 1000), ceiling_hz=(10, 5000))
    if settings.floor_hz >= settings.ceiling_hz:
        message = f"floor_hz {settings.floor_hz:g} must be below ceiling_hz {settings.ceiling_hz:g}"
        raise UserError(message, key="floor_hz")


@dataclass(frozen=True)
class F0Extractor:
    """F0 by the autocorrelation of windows and the best path through its peaks (Boersma 1993), as Praat has it.

    Args:
        floor_hz: lowest F0, Hz; the analysis window has three of its periods.
        ceiling_hz: highest F0, Hz.

    Raises:
        UserError: the range is empty or out of range.
    """

    floor_hz: float = 60.0
    ceiling_hz: float = 500.0

    def __post_init__(self) -> None:
        check_f0_range(self)

    def __call__(self, waveform: np.ndarray, rate: int, hop: int) -> np.ndarray:
        """F0 of every hop.

        Args:
            waveform: (N,), in [-1, 1].
            rate: sample rate, Hz.
            hop: distance between frames, samples; frame ``m`` is centred on sample ``m * hop + hop / 2``, as in
                the mel.

        Returns:
            float32 (N // hop,), Hz, 0 where unvoiced; silence is unvoiced.

        Raises:
            UserError: praat-parselmouth is not installed.
        """
        with needs("f0", "F0"):
            import parselmouth

        frames = len(waveform) // hop
        if not np.any(waveform[: frames * hop]):
            return np.zeros(frames, np.float32)

        # Praat centres as many frames as fit between the ends, so that this padding, which leaves room for one window
        # and the hops from the first frame to the last, puts them onto the centres of the hops.
        window = PERIODS * rate / self.floor_hz
        padding = math.ceil((window - hop) / 2) + 1
        padded = np.pad(waveform[: frames * hop].astype(np.float64), max(padding, 0))
        sound = parselmouth.Sound(padded, rate)
        pitch = sound.to_pitch_ac(hop / rate, self.floor_hz, pitch_ceiling=self.ceiling_hz)
        f0 = pitch.selected_array["frequency"]
        assert len(f0) == frames, f"{len(f0)} frames of F0 for {frames} hops"
        return f0.astype(np.float32)
