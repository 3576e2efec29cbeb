"""Discriminator on the log power spectrogram: a 2-D ResNet-18 without normalisation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.limits import Depth, Width
from v2skit.errors import UserError
from v2skit.signal.stft import Stft

# White noise at -60 dB of full scale. It bounds the derivative at silence, which a gradient penalty squares.
NOISE_FLOOR = 1e-6
SLOPE = 0.2


class LogPower(nn.Module):
    """Waveform (B,N) -> log(power + floor) - log(floor), (B,1,F,K) with F = ceil(N / hop), K = n_fft/2 + 1.

    Power is divided by the window's energy, so that white noise has the same level at any ``n_fft``. Silence is 0, as
    the padding of convolutions is. The second derivative exists at silence too.

    Args:
        n_fft: FFT and window length, samples.
        hop: from frame to frame, samples; ``n_fft - hop`` must be even.

    Raises:
        UserError: the hop does not fit.
    """

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.stft = Stft(n_fft, hop)
        self.scale = 1 / (NOISE_FLOOR * 0.375 * n_fft)  # sum of the squared Hann window

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (B,N) -> power spectrogram, as the discriminator's input."""
        spare = -waveform.shape[1] % self.stft.hop
        padded = F.pad(waveform, (0, spare)) if spare else waveform  # no sample is left out
        return (self.stft.power(padded) * self.scale).log1p()[:, None]  # (B,F,K) -> (B,1,F,K)


class Block(nn.Module):
    """Basic residual block (He et al. 2016, fig. 2), leaky ReLU: (B,C,F,K) -> (B, C', F / stride, K / stride)."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.shortcut = nn.Sequential()
        if stride > 1:  # a strided 1x1 convolution would use a quarter of the values
            self.shortcut.append(nn.AvgPool2d(stride, ceil_mode=True))
        if in_channels != channels:
            self.shortcut.append(nn.Conv2d(in_channels, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Features (B,C,H,W) -> features of the next layer."""
        y = F.leaky_relu(self.conv1(x), SLOPE)
        return F.leaky_relu(self.conv2(y) + self.shortcut(x), SLOPE)


class PowerDiscriminator(nn.Module):
    """2-D ResNet-18 on the log power spectrogram (the power discriminator of V2S-WGAN's line).

    No batch norm, as a gradient penalty asks (Gulrajani et al. 2017, section 4); averages instead of the maximum after
    the stem, so that every bin has a gradient. The score has second derivatives, also at silence. A clip is
    zero beyond its ends; it may be as short as one sample.

    Args:
        n_fft: FFT and window length, samples.
        hop: from frame to frame, samples; ``n_fft - hop`` must be even.
        channels: of the stages; the stem has as many as the first.
        blocks: residual blocks in each stage.

    Raises:
        UserError: an argument is out of range.
    """

    def __init__(
        self, n_fft: Width = 512, hop: Width = 128, channels: tuple[Width, ...] = (64, 128, 256, 512), blocks: Depth = 2
    ) -> None:
        super().__init__()
        if not channels or min(channels) < 1 or blocks < 1:
            raise UserError(f"channels {channels} and blocks {blocks} must be positive, with at least one stage")
        self.spectrogram = LogPower(n_fft, hop)
        self.stem = nn.Conv2d(1, channels[0], 7, stride=2, padding=3)
        self.stages = nn.ModuleList()
        width = channels[0]
        for stage, stage_width in enumerate(channels):
            blocks_of_stage = nn.Sequential()
            for block in range(blocks):
                blocks_of_stage.append(Block(width, stage_width, stride=2 if stage and not block else 1))
                width = stage_width
            self.stages.append(blocks_of_stage)
        self.score = nn.Linear(width, 1)

    def forward(self, waveform: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Waveform (B,N) -> [(score (B,), the stem's and each stage's output (B,C,F',K'))]."""
        return self.discriminate(self.represent(waveform))

    def represent(self, waveform: Tensor) -> Tensor:
        """Waveform (B,N) -> log power spectrogram (B,1,F,K)."""
        return self.spectrogram(waveform)

    def discriminate(self, spectrogram: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Log power spectrogram (B,1,F,K) -> as :meth:`forward`."""
        x = F.leaky_relu(self.stem(spectrogram), SLOPE)
        features = [x]
        x = F.avg_pool2d(x, 2, ceil_mode=True)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return [(self.score(x.mean((2, 3))).squeeze(1), features)]
