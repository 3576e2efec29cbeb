"""Mel correction: a waveform is made to have the mel that was asked for."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.signal.mel import MelSpectrogram

LARGEST_GAIN = 4.0
"""Of a round, either way, so that what is silent by mistake is not blown up into noise."""


class MelCorrection(nn.Module):
    """Scales the short-time spectrum by what is asked over what is there, mel bin by mel bin, and keeps the phase.

    A generator that regresses waveforms leaves errors in magnitude that can be seen without a target, since the mel is
    known; as in Griffin-Lim the magnitudes are put right and the phase stays, but from a phase that is nearly right.

    Args:
        clock: of the waveform.
        mel: of the log mel.
        rounds: more than one, since the corrected spectrum is not quite that of any waveform.
    """

    shares: Tensor
    rest: Tensor

    def __init__(self, clock: Clock, mel: Mel, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        # A round looks a window's half around each sample, once to see what is there and once to put it right.
        self.reach_frames = rounds * math.ceil(mel.window / mel.hop)
        self.limit = math.log(LARGEST_GAIN) / (1.0 if mel.log == "natural" else math.log(10))
        self.spectrogram = MelSpectrogram(clock, mel)
        filters = self.spectrogram.filters  # (K, M)
        total = filters.sum(1, keepdim=True)
        shares = torch.where(total > 0, filters / total.clamp(min=1e-12), 0)  # a bin's gain: the mean of its filters'
        self.register_buffer("shares", shares.T.contiguous(), persistent=False)  # (M, K)
        self.register_buffer("rest", (total[:, 0] <= 0).float(), persistent=False)  # bins in no filter keep theirs

    @torch.no_grad()
    def forward(self, waveform: Tensor, mel: Tensor) -> Tensor:
        """(B, F * hop), log mel (B,F,M) -> (B, F * hop)."""
        for _ in range(self.rounds):
            there = self.spectrogram(waveform)
            gain = self.spectrogram.magnitude((mel - there).clamp(-self.limit, self.limit)) @ self.shares + self.rest
            stft = self.spectrogram.stft
            waveform = stft.inverse(stft(waveform) * gain.transpose(1, 2))
        return waveform
