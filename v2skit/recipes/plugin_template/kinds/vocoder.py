"""A vocoder without weights."""

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.signal.mel import MelSpectrogram


class MyComponent(nn.Module):
    """Channel vocoder (Dudley 1939): for each band of the mel a sine at its centre, as loud as the band.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        gain: factor of the loudness.
    """

    centres: Tensor

    def __init__(self, clock: Clock, mel: Mel, gain: float = 1.0) -> None:
        super().__init__()
        self.hop, self.rate, self.gain = mel.hop, clock.sample_rate, gain / mel.window
        self.spectrogram = MelSpectrogram(clock, mel)
        hz = torch.arange(self.spectrogram.filters.shape[0]) * clock.sample_rate / mel.n_fft  # (K,)
        filters = self.spectrogram.filters  # (K, M)
        self.register_buffer("centres", (hz @ filters) / filters.sum(0).clamp(min=1e-8), persistent=False)  # (M,)

    def forward(self, mel: Tensor) -> Tensor:
        """Log mel (B,F,M) -> waveform (B, F * hop)."""
        loud = self.gain * self.spectrogram.magnitude(mel.float())  # (B, F, M)
        loud = loud.repeat_interleave(self.hop, dim=1)  # (B, N, M)
        seconds = torch.arange(loud.shape[1], device=mel.device) / self.rate  # (N,)
        return (loud * torch.sin(2 * torch.pi * seconds[:, None] * self.centres)).sum(2)
