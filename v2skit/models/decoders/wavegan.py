"""Raw-waveform generator: stacked transposed convolutions with batch normalisation (the V2A-WaveGAN family)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.errors import UserError
from v2skit.models.decoders.rates import at_rate, inner_mask, reach, transposed, upsampling_rates
from v2skit.models.layers.masked import norm_channels_first, zero_channels_first

IN_KERNEL = 3
NARROWEST = 16
"""Fewer channels than these are too few for a waveform; a config that starts below them stays there."""


class WaveGan(nn.Module):
    """Transposed 1-D convolutions with BN and ReLU, tanh at the end (V2S-WGAN, Mira et al. 2022; Kefalas et al. 2024).

    Args:
        in_dim: features an input step; given by the toolkit.
        step: samples an input step; given by the toolkit.
        channels: at the rate of the input; each upsampling halves them, down to 16.
        rates: of the upsamplings, with the product ``step``; null: few and even ones.
        out_kernel: of the last convolution, samples; odd.

    Raises:
        UserError: the rates do not fit the step, or the kernel is even.
    """

    output = "waveform"

    def __init__(
        self, in_dim: int, step: int, channels: int = 512, rates: list[int] | None = None, out_kernel: int = 25
    ) -> None:
        super().__init__()
        if channels < 1 or out_kernel < 1 or out_kernel % 2 == 0:
            raise UserError(f"channels {channels} must be positive, and out_kernel {out_kernel} positive and odd")
        self.in_dim = in_dim
        self.rates = upsampling_rates(step, rates)
        widths = [max(channels >> halvings, min(channels, NARROWEST)) for halvings in range(len(self.rates) + 1)]
        # No bias before a normalisation, which would take it out again.
        self.embed = nn.Conv1d(in_dim, channels, IN_KERNEL, padding=IN_KERNEL // 2, bias=False)
        self.embed_norm = nn.BatchNorm1d(channels)
        self.ups = nn.ModuleList(
            transposed(wide, narrow, rate, bias=False) for wide, narrow, rate in zip(widths, widths[1:], self.rates)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.out = nn.Conv1d(widths[-1], 1, out_kernel, padding=out_kernel // 2)
        margins = [IN_KERNEL // 2, *[0] * len(self.rates)]
        margins[-1] += out_kernel // 2
        self.left_context_frames, self.look_ahead_frames = reach(self.rates, margins)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The waveform.

        Args:
            x: (B, L, in_dim).
            mask: (B, L); None: all steps are valid.

        Returns:
            (B, L * step), zero for the steps where the mask is False. Float32, whatever the autocast.

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
