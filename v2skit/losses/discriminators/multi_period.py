"""Discriminators on every p-th sample (HiFi-GAN)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from v2skit.config.limits import Width
from v2skit.errors import UserError

KERNEL, STRIDE = 5, 3
SLOPE = 0.1


class PeriodDiscriminator(nn.Module):
    """Convolutions over every ``period``-th sample: (B,N) -> (B, 1, ceil(N / period), period), columns kept apart.

    Args:
        period: samples.
        channels: of the first layer.
    """

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        widths = [1, *(channels * times for times in (1, 4, 16, 32, 32))]
        strides = [STRIDE, STRIDE, STRIDE, STRIDE, 1]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (KERNEL, 1), (stride, 1), padding=(KERNEL // 2, 0)))
            for before, after, stride in zip(widths, widths[1:], strides)
        )
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, waveform: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Waveform (B,N) -> score (B,1,N',P) and the features of each layer."""
        spare = -waveform.shape[1] % self.period
        padded = F.pad(waveform, (0, spare)) if spare else waveform
        x = padded.unflatten(1, (-1, self.period))[:, None]  # (B,N) -> (B, 1, N / p, p)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.score(x).flatten(1), features


class MultiPeriodDiscriminator(nn.Module):
    """The multi-period discriminator of HiFi-GAN (Kong et al. 2020, section 2.3 and appendix A).

    Beyond its ends a clip is zero (there: reflected), so it may be as short as one sample.

    Args:
        periods: samples, one sub-discriminator each; best without common factors.
        channels: of the first layer; the others have 4, 16, 32 and 32 times as many.

    Raises:
        UserError: an argument is out of range.
    """

    def __init__(self, periods: tuple[Width, ...] = (2, 3, 5, 7, 11), channels: Width = 32) -> None:
        super().__init__()
        if not periods or min(periods) < 1 or channels < 1:
            raise UserError(f"periods {periods} and channels {channels} must be positive, with at least one period")
        self.parts = nn.ModuleList(PeriodDiscriminator(period, channels) for period in periods)

    def forward(self, waveform: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Waveform (B,N) -> for each period (scores (B,L), each layer's output (B,C,L',p))."""
        return [part(waveform) for part in self.parts]
