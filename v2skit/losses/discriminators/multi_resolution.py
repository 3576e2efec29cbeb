"""Discriminators on spectrograms of several resolutions (UnivNet, Vocos)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from v2skit.config.limits import Width
from v2skit.errors import UserError
from v2skit.losses.discriminators.power import LogPower

SLOPE = 0.1
# All (time, frequency): wide and strided in frequency, so that time keeps the resolution of the hop.
KERNEL, STRIDE, LAST_KERNEL = (3, 9), (1, 2), (3, 3)


class ResolutionDiscriminator(nn.Module):
    """Convolutions over the log spectrogram of one resolution: (B,N) -> (B,1,F,K), time before frequency.

    Log, since on a linear scale the loud lower bands of speech would outweigh the weak upper ones.

    Args:
        n_fft: FFT and window length, samples; the hop is a quarter.
        channels: of all layers.
    """

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.spectrogram = LogPower(n_fft, n_fft // 4)
        self.layers = nn.ModuleList([_conv(1, channels, KERNEL)])
        self.layers.extend(_conv(channels, channels, KERNEL, STRIDE) for _ in range(3))
        self.layers.append(_conv(channels, channels, LAST_KERNEL))
        self.score = _conv(channels, 1, LAST_KERNEL)

    def forward(self, waveform: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Waveform (B,N) -> score (B,...) and the features of each layer."""
        x, features = self.spectrogram(waveform), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.score(x).flatten(1), features


class MultiResolutionDiscriminator(nn.Module):
    """The multi-resolution spectrogram discriminator of UnivNet (Jang et al. 2021), on log spectrograms.

    A clip is zero beyond its ends; it may be as short as one sample.

    Args:
        n_ffts: FFT and window lengths, samples, one sub-discriminator each; multiples of 8. Hops are a quarter.
        channels: of all layers.

    Raises:
        UserError: an argument is out of range.
    """

    def __init__(self, n_ffts: tuple[Width, ...] = (1024, 2048, 512), channels: Width = 32) -> None:
        super().__init__()
        if not n_ffts or min(n_ffts) < 8 or any(n_fft % 8 for n_fft in n_ffts):
            raise UserError(f"n_ffts {n_ffts} must be positive multiples of 8, at least one")
        if channels < 1:
            raise UserError(f"channels {channels} must be positive")
        self.parts = nn.ModuleList(ResolutionDiscriminator(n_fft, channels) for n_fft in n_ffts)

    def forward(self, waveform: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Waveform (B,N) -> for each resolution (scores (B,L), each layer's output (B,C,F,K'))."""
        return [part(waveform) for part in self.parts]


def _conv(in_channels: int, channels: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> nn.Module:
    """Weight-normed; one output for each step of the stride, as beyond the borders there are zeros."""
    return weight_norm(nn.Conv2d(in_channels, channels, kernel, stride, padding=(kernel[0] // 2, kernel[1] // 2)))
