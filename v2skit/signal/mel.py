"""The log-mel spectrogram, the same in all of the toolkit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.signal.filterbank import mel_filters
from v2skit.signal.stft import Stft


class MelSpectrogram(nn.Module):
    """Log-mel spectrogram with the settings of :class:`v2skit.config.features.Mel`.

    Args:
        clock: states the sample rate.
        mel: settings.


    Raises:
        UserError: ``hop`` does not divide the video frame, or ``f_max`` is above half the sample rate.
    """

    filters: Tensor

    def __init__(self, clock: Clock, mel: Mel) -> None:
        super().__init__()
        mel.per_frame(clock)
        self.mel = mel
        filters = mel_filters(mel.n_fft, clock.sample_rate, mel.n_mels, mel.f_min, mel.f_max, mel.scale)
        self.register_buffer("filters", filters, persistent=False)  # (n_fft/2+1, M)
        self.stft = Stft(mel.n_fft, mel.hop, mel.window)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (B,N) -> log mel (B,F,M), F = N // hop, float32 whatever the autocast."""
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.view_as_real(self.stft(waveform))  # abs() of complex numbers takes twice as long
            magnitude = torch.linalg.vector_norm(spectrum, dim=-1).transpose(1, 2)  # (B, K, F) -> (B, F, K)
            return self.log((magnitude @ self.filters).clamp(min=self.mel.floor))

    def log(self, magnitude: Tensor) -> Tensor:
        """Mel magnitudes (B,F,M) -> log mel (B,F,M)."""
        return magnitude.log() if self.mel.log == "natural" else magnitude.log10()

    def magnitude(self, mel: Tensor) -> Tensor:
        """Log mel (B,F,M) -> mel magnitudes (B,F,M)."""
        return mel.exp() if self.mel.log == "natural" else 10.0**mel
