"""Mel correction: a vocoder's waveform is modified so that its mel is that of the vocoder's input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.signal.mel import MelSpectrogram

ROUNDS = 8
"""Rounds for a vocoder that was trained on mels of ground-truth audio alone."""
MAX_GAIN = 4.0
"""Largest gain and attenuation of a round, so that wrongly silent parts are not amplified to noise."""


class MelCorrection(nn.Module):
    """Scales the STFT of a waveform by the ratio of the input mel to its own mel, and keeps its phase.

    A generator's errors in magnitude can be measured without ground-truth audio, since the mel is known. As in
    Griffin-Lim the magnitudes are replaced and the phase is kept, but here it is a good estimate from the start.

    It is right where the mel is that of the wanted waveform. A predicted mel is not: it is smooth, and the output gets
    as smooth as it is. What a vocoder learned on predicted mels, to output a waveform that has another mel than its
    input, is undone.

    Args:
        clock: clock of the waveform.
        mel: settings of the log mel.
        rounds: repetitions; one does not suffice, since no waveform has exactly the scaled STFT.
    """

    shares: Tensor
    rest: Tensor

    def __init__(self, clock: Clock, mel: Mel, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        # Half a window on either side in a round's STFT, and another half in its inverse.
        self.context_frames = rounds * math.ceil(mel.window / mel.hop)
        self.limit = math.log(MAX_GAIN) / (1.0 if mel.log == "natural" else math.log(10))
        self.spectrogram = MelSpectrogram(clock, mel)
        filters = self.spectrogram.filters  # (K, M)
        total = filters.sum(1, keepdim=True)
        shares = torch.where(total > 0, filters / total.clamp(min=1e-12), 0)  # a bin's gain: the mean over its filters
        self.register_buffer("shares", shares.T.contiguous(), persistent=False)  # (M, K)
        self.register_buffer(
            "rest", (total[:, 0] <= 0).float(), persistent=False
        )  # gain 1 for bins outside all filters

    @torch.no_grad()
    def forward(self, waveform: Tensor, mel: Tensor) -> Tensor:
        """Waveform (B, F * hop), log mel (B,F,M) -> waveform (B, F * hop)."""
        for _ in range(self.rounds):
            difference = (mel - self.spectrogram(waveform)).clamp(-self.limit, self.limit)
            gain = self.spectrogram.magnitude(difference) @ self.shares + self.rest
            stft = self.spectrogram.stft
            waveform = stft.inverse(stft(waveform) * gain.transpose(1, 2))
        return waveform
