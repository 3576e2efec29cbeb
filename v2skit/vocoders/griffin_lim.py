"""Griffin-Lim: the vocoder that needs no training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from v2skit.clock import Clock, Mel
from v2skit.data.audio import MelSpectrogram


PERIOD_FRAMES = 100
"""After so many frames the first phases are the same again, so that a piece that starts at a multiple has those of the
whole."""

REACH_FRAMES = 100
"""Farther frames don't count: an iteration reaches a window's length, but with ever less effect."""


class GriffinLim(nn.Module):
    """Phase by iteration (fast Griffin-Lim, Perraudin et al. 2013), on magnitudes fitted to the mel.

    Args:
        iterations: of the phase.
        momentum: of the fast variant, 0 for the plain one.
        fit_iterations: multiplicative updates (Lee and Seung 2001) that fit non-negative magnitudes to the mel.
    """

    def __init__(
        self, clock: Clock, mel: Mel, iterations: int = 64, momentum: float = 0.99, fit_iterations: int = 100
    ) -> None:
        super().__init__()
        self.spectrogram = MelSpectrogram(clock, mel)
        self.period_frames = PERIOD_FRAMES
        self.look_back_frames = self.look_ahead_frames = REACH_FRAMES
        self.iterations, self.momentum, self.fit_iterations = iterations, momentum, fit_iterations
        # Fewer bins than the mel has are never hit by any filter: no magnitude can be told for those.
        self.register_buffer("inverse", torch.linalg.pinv(self.spectrogram.filters), persistent=False)  # (M, K)

    @torch.no_grad()
    def forward(self, mel: Tensor) -> Tensor:
        """Log mel (B,F,M) -> waveform (B, F * hop). Deterministic: the first phase is drawn from a fixed seed."""
        magnitude = self._linear(self.spectrogram.magnitude(mel.float())).transpose(1, 2)  # (B, F, K) -> (B, K, F)
        generator = torch.Generator().manual_seed(0)
        phase = torch.rand(magnitude.shape[1], self.period_frames, generator=generator) * 2 * torch.pi
        repeats = -(-magnitude.shape[2] // self.period_frames)
        phase = phase.repeat(1, repeats)[:, : magnitude.shape[2]].to(mel.device)
        estimate = torch.polar(torch.ones_like(magnitude), phase.expand_as(magnitude))
        previous = torch.zeros_like(estimate)
        for _ in range(self.iterations):
            consistent = self.spectrogram.stft(self.spectrogram.stft.inverse(magnitude * estimate))
            estimate = consistent + self.momentum * (consistent - previous)
            estimate = estimate / estimate.abs().clamp(min=1e-12)
            previous = consistent
        return self.spectrogram.stft.inverse(magnitude * estimate)

    def _linear(self, mel: Tensor) -> Tensor:
        """Mel magnitudes (B,F,M) -> non-negative linear magnitudes (B,F,K)."""
        filters = self.spectrogram.filters
        magnitude = (mel @ self.inverse).clamp(min=1e-8)
        target = mel @ filters.T
        for _ in range(self.fit_iterations):
            magnitude = magnitude * target / ((magnitude @ filters) @ filters.T).clamp(min=1e-10)
        return magnitude
