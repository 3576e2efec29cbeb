"""Raw-waveform generator: transposed convolutions with batch normalisation (the V2A-WaveGAN family)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.limits import Kernel, Width
from v2skit.errors import UserError
from v2skit.models.decoders.rates import at_rate, inner_mask, receptive_field, transposed, upsampling_rates
from v2skit.models.layers.masked import norm_channels_first, zero_channels_first

IN_KERNEL = 3
MIN_CHANNELS = 16
"""Upsampling halves the channels down to this number; a config with fewer keeps its own."""


class WaveGan(nn.Module):
    """Transposed 1-D convolutions with BN and ReLU, then tanh (V2S-WGAN, Mira et al. 2022; Kefalas et al. 2024).

    (B, L, in_dim) -> (B, L * step).

    Args:
        in_dim: features an input step; given by the toolkit.
        step: samples an input step; given by the toolkit.
        channels: channels at the input rate, halved by each upsampling, down to 16.
        rates: upsampling rates with the product ``step``; null: the fewest, of similar size.
        out_kernel: kernel size of the last convolution, samples; odd.

    Raises:
        UserError: the product of the rates is not ``step``, there are no channels, or the kernel is even.
    """

    output = "waveform"

    def __init__(
        self, in_dim: int, step: int, channels: Width = 512, rates: list[int] | None = None, out_kernel: Kernel = 25
    ) -> None:
        super().__init__()
        if channels < 1 or out_kernel < 1 or out_kernel % 2 == 0:
            raise UserError(f"channels {channels} must be positive, and out_kernel {out_kernel} positive and odd")
        self.in_dim = in_dim
        self.rates = upsampling_rates(step, rates)
        widths = [max(channels >> halvings, min(channels, MIN_CHANNELS)) for halvings in range(len(self.rates) + 1)]
        # No bias before batch normalisation, which subtracts it again.
        self.embed = nn.Conv1d(in_dim, channels, IN_KERNEL, padding=IN_KERNEL // 2, bias=False)
        self.embed_norm = nn.BatchNorm1d(channels)
        self.ups = nn.ModuleList(
            transposed(wide, narrow, rate, bias=False) for wide, narrow, rate in zip(widths, widths[1:], self.rates)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.out = nn.Conv1d(widths[-1], 1, out_kernel, padding=out_kernel // 2)
        margins = [IN_KERNEL // 2, *[0] * len(self.rates)]
        margins[-1] += out_kernel // 2
        self.left_context_frames, self.look_ahead_frames = receptive_field(self.rates, margins)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The waveform.

        Args:
            x: (B, L, in_dim).
            mask: (B, L), True for valid steps; None: all are valid.

        Returns:
            (B, L * step), float32 also under autocast, zero for the steps where the mask is False.

        Raises:
            UserError: ``x`` has another shape.
        """
        mask = inner_mask(x, mask, self.in_dim, "wavegan")
        x = zero_channels_first(x.transpose(1, 2), mask)  # (B, L, D) -> (B, D, L)
        x = F.relu(norm_channels_first(self.embed_norm, self.embed(x), mask))
        for up, norm, rate in zip(self.ups, self.norms, self.rates):
            mask = at_rate(mask, rate)
            x = F.relu(norm_channels_first(norm, up(x), mask))  # (B, C, L) -> (B, C', L * rate), zero where masked
        with torch.autocast(x.device.type, enabled=False):
            x = torch.tanh(self.out(x.float()))
        return zero_channels_first(x, mask).squeeze(1)  # (B, 1, N) -> (B, N)
