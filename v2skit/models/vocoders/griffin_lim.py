"""Griffin-Lim: the vocoder that needs no training."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.config.limits import Momentum, Rounds
from v2skit.signal.mel import MelSpectrogram

PERIOD_FRAMES = 50
"""Period of the initial phase in mel frames: a part that starts at a multiple of it has the phase of the whole."""

CONTEXT_FRAMES = 50
"""Effective left and right context: each iteration adds a window's length, but with ever less effect."""


class GriffinLim(nn.Module):
    """Iterative phase reconstruction (fast Griffin-Lim, Perraudin et al. 2013) for magnitudes fitted to the mel.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        iterations: phase iterations.
        momentum: momentum of fast Griffin-Lim; 0: Griffin-Lim.
        fit_iterations: multiplicative updates (Lee and Seung 2001) that fit non-negative magnitudes to the mel.
    """

    inverse: Tensor
    filters: Tensor
    filters_t: Tensor

    def __init__(
        self, clock: Clock, mel: Mel, iterations: Rounds = 64, momentum: Momentum = 0.99, fit_iterations: Rounds = 100
    ) -> None:
        super().__init__()
        self.spectrogram = MelSpectrogram(clock, mel)
        self.period_frames = PERIOD_FRAMES
        self.left_context_frames = self.look_ahead_frames = CONTEXT_FRAMES
        self.iterations, self.momentum, self.fit_iterations = iterations, momentum, fit_iterations
        filters = self.spectrogram.filters
        self.register_buffer("inverse", torch.linalg.pinv(filters).T.contiguous(), persistent=False)  # (K, M)
        # A bin is in two filters at most, so that sparse matrix products take a fraction of the time.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch calls its sparse tensors a beta version
            self.register_buffer("filters", filters.to_sparse_csr(), persistent=False)  # (K, M)
            self.register_buffer("filters_t", filters.T.contiguous().to_sparse_csr(), persistent=False)  # (M, K)

    @torch.no_grad()
    def forward(self, mel: Tensor) -> Tensor:
        """Log mel (B,F,M) -> waveform (B, F * hop). Deterministic: the initial phase has a fixed seed."""
        magnitude = self._linear(self.spectrogram.magnitude(mel.float()))  # (B, F, K)
        generator = torch.Generator().manual_seed(0)
        phase = torch.rand(magnitude.shape[2], self.period_frames, generator=generator) * 2 * torch.pi
        repeats = -(-magnitude.shape[1] // self.period_frames)
        phase = phase.T.repeat(repeats, 1)[: magnitude.shape[1]].to(mel.device)
        estimate = torch.polar(magnitude, phase.expand_as(magnitude))
        previous = torch.zeros_like(estimate)
        stft = self.spectrogram.stft
        for _ in range(self.iterations):
            consistent = stft(stft.inverse(estimate.transpose(1, 2))).transpose(1, 2)
            estimate = magnitude * torch.lerp(previous, consistent, 1 + self.momentum).sgn_()
            previous = consistent
        return stft.inverse(estimate.transpose(1, 2))

    def _linear(self, mel: Tensor) -> Tensor:
        """Mel magnitudes (B,F,M) -> non-negative linear magnitudes (B,F,K)."""
        flat = mel.flatten(0, 1).T.contiguous()  # (M, B F)
        magnitude = (self.inverse @ flat).clamp(min=1e-8)
        target = self.filters @ flat
        for _ in range(self.fit_iterations):
            magnitude = magnitude * target / (self.filters @ (self.filters_t @ magnitude)).clamp(min=1e-10)
        return magnitude.T.unflatten(0, mel.shape[:2]).contiguous()
