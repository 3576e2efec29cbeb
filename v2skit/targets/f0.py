"""Targets of the fundamental frequency (F0) and of voicing."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.signal.f0 import F0Extractor


class F0:
    """F0 of every mel frame, Hz, 0 where unvoiced, by Praat's autocorrelation (Boersma 1993).

    Computed once for each utterance, in 2 to 5 ms for a second of speech (``tools/benchmark_f0.py``).

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        floor_hz: lowest F0, Hz.
        ceiling_hz: highest F0, Hz.

    Raises:
        UserError: the range of F0 is empty.
    """

    rate, dtype = "mel", "float32"

    def __init__(self, clock: Clock, mel: Mel, floor_hz: float = 60.0, ceiling_hz: float = 500.0) -> None:
        self.extract = F0Extractor(floor_hz, ceiling_hz)
        self.sample_rate, self.hop = clock.sample_rate, mel.hop

    def compute(self, waveform: np.ndarray, text: str | None) -> np.ndarray:
        """Waveform (N,) -> float32 (F,), F = N / hop. Raises UserError where praat-parselmouth is not installed."""
        return self.extract(waveform, self.sample_rate, self.hop)


class Voicing(nn.Module):
    """Whether a mel frame is voiced, from the target ``f0`` of a batch."""

    rate, needs = "mel", ("f0",)

    def forward(self, batch: Batch) -> Tensor:
        """1 where voiced, 0 where not, float32 (B,F)."""
        return (batch.stream("f0") > 0).float()
