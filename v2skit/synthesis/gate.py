"""Silence where no face is visible."""

from __future__ import annotations

import numpy as np


class Gate:
    """Mutes a waveform in the video frames without a face; it fades out and in within one frame.

    Args:
        samples_per_frame: samples per video frame.
    """

    def __init__(self, samples_per_frame: int) -> None:
        self.samples_per_frame = samples_per_frame
        self._gains: list[float] = []
        self._gain: float | None = None  # at the end of the previous frame

    def push(self, muted: bool) -> None:
        """Whether the next frame is muted."""
        self._gains.append(0.0 if muted else 1.0)

    def apply(self, waveform: np.ndarray) -> np.ndarray:
        """The next samples (N,), whole frames for which :meth:`push` was called -> the same, muted where it says so."""
        frames = len(waveform) // self.samples_per_frame
        gains, self._gains = self._gains[:frames], self._gains[frames:]
        if not gains or (all(gains) and self._gain != 0):
            self._gain = gains[-1] if gains else self._gain
            return waveform
        ends = np.array([gains[0] if self._gain is None else self._gain, *gains])
        ramp = np.arange(1, self.samples_per_frame + 1) / self.samples_per_frame
        self._gain = gains[-1]
        return waveform * (ends[:-1, None] + np.diff(ends)[:, None] * ramp).ravel().astype(np.float32)
