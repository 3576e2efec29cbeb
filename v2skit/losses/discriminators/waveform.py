"""Discriminator on the samples: strided 1-D convolutions (WaveGAN)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.limits import Depth, Kernel, Width
from v2skit.errors import UserError


class WaveformDiscriminator(nn.Module):
    """The discriminator of WaveGAN (Donahue et al. 2019), averaged over time so that clips may have any length.

    Nothing is normalised over the batch, as a gradient penalty asks (Gulrajani et al. 2017, section 4), and the score
    has second derivatives. Beyond its ends a clip is zero; it may be as short as one sample.

    Args:
        channels: of the first layer; each further layer doubles them.
        max_channels: beyond which they are not doubled.
        kernel: samples; odd, and at least ``2 * stride - 1`` so that no sample is left out.
        stride: of each layer.
        layers: convolutions.
        phase_shuffle: in training, each layer's output but the last's is shifted by up to this many positions, one
            draw a call. Set 0 with feature matching, which would compare layers that are shifted differently.

    Raises:
        UserError: an argument is out of range.
    """

    def __init__(
        self,
        channels: Width = 64,
        max_channels: Width = 1024,
        kernel: Kernel = 25,
        stride: Kernel = 4,
        layers: Depth = 5,
        phase_shuffle: int = 2,
    ) -> None:
        super().__init__()
        if min(channels, max_channels, stride, layers) < 1 or phase_shuffle < 0:
            raise UserError("channels, max_channels, stride and layers must be 1 or more, phase_shuffle 0 or more")
        if kernel % 2 == 0 or kernel < 2 * stride - 1:
            raise UserError(f"kernel {kernel} must be odd and at least 2 * stride - 1 = {2 * stride - 1}")
        self.phase_shuffle = phase_shuffle
        widths = [1, *(min(channels * 2**layer, max_channels) for layer in range(layers))]
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, kernel, stride, padding=kernel // 2) for before, after in pairwise(widths)
        )
        self.score = nn.Linear(widths[-1], 1)

    def forward(self, waveform: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Waveform (B,N) -> [(score (B,), each layer's output (B,C,L))]."""
        x = waveform[:, None]
        features: list[Tensor] = []
        for layer in self.layers:
            if features and self.training and self.phase_shuffle:
                x = self._shift(x)
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return [(self.score(x.mean(2)).squeeze(1), features)]

    def _shift(self, x: Tensor) -> Tensor:
        """Shift (B,C,L) in time by a random number of positions, reflected at the end that it leaves."""
        shift = int(torch.randint(-self.phase_shuffle, self.phase_shuffle + 1, ()))
        by = min(abs(shift), x.shape[2] - 1)
        if by == 0:
            return x
        # Not F.pad(mode="reflect"), whose gradient on a GPU differs from run to run.
        if shift > 0:
            return torch.cat([x[..., 1 : by + 1].flip(2), x[..., :-by]], dim=2)
        return torch.cat([x[..., by:], x[..., -by - 1 : -1].flip(2)], dim=2)
