"""HiFi-GAN generator (Kong et al. 2020): each upsampling is followed by multi-receptive-field fusion."""

from __future__ import annotations

from functools import partial, reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from v2skit.config.limits import Kernel, Width
from v2skit.errors import UserError
from v2skit.models.decoders.rates import at_rate, inner_mask, receptive_field, transposed, upsampling_rates
from v2skit.models.layers.masked import zero_channels_first

END_KERNEL = 7
INIT_STD = 0.01
_activate = partial(F.leaky_relu, negative_slope=0.1)


def _small(conv: nn.Conv1d | nn.ConvTranspose1d) -> nn.Module:
    """The convolution with weights of a small standard deviation and weight normalisation."""
    nn.init.normal_(conv.weight, std=INIT_STD)
    return weight_norm(conv)


class ResBlock(nn.Module):
    """Residual pairs of convolutions, the first of each pair dilated (section 2.2): (B, C, L) -> (B, C, L).

    Input and output are zero where the mask (B, L) is False.
    """

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            padding = dilation * (kernel // 2)
            return _small(nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation))

        self.dilated = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.plain = nn.ModuleList(conv(1) for _ in dilations)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Features (B, C, L), mask (B, L) or None where all are valid -> (B, C, L)."""
        for dilated, plain in zip(self.dilated, self.plain):
            y = zero_channels_first(dilated(_activate(x)), mask)
            x = x + zero_channels_first(plain(_activate(y)), mask)
        return x


class HifiGan(nn.Module):
    """Transposed convolutions and multi-receptive-field fusion, with weight normalisation (section 2.2).

    (B, L, in_dim) -> (B, L * step).

    Args:
        in_dim: features an input step; given by the toolkit.
        step: samples an input step; given by the toolkit.
        channels: channels at the input rate, halved by each upsampling; 512 as in V1, 128 as in V2.
        rates: upsampling rates with the product ``step``; null: the fewest, of similar size.
        kernels: kernel sizes of the residual blocks, whose outputs are averaged; odd.
        dilations: dilations of the convolutions of each residual block.

    Raises:
        UserError: the product of the rates is not ``step``, the channels can't be halved so often, a kernel is even, or
            a dilation is not positive.
    """

    output = "waveform"

    def __init__(
        self,
        in_dim: int,
        step: int,
        channels: Width = 512,
        rates: list[int] | None = None,
        kernels: tuple[Kernel, ...] = (3, 7, 11),
        dilations: tuple[Kernel, ...] = (1, 3, 5),
    ) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.rates = upsampling_rates(step, rates)
        if channels < 2 ** len(self.rates):
            raise UserError(
                f"channels {channels} can't be halved {len(self.rates)} times; use {2 ** len(self.rates)} or more"
            )
        if not kernels or min(kernels) < 1 or any(kernel % 2 == 0 for kernel in kernels):
            raise UserError(f"kernels {list(kernels)} must be positive and odd, at least one of them")
        if not dilations or min(dilations) < 1:
            raise UserError(f"dilations {list(dilations)} must be positive, at least one of them")
        widths = [channels >> halvings for halvings in range(len(self.rates) + 1)]
        self.embed = weight_norm(nn.Conv1d(in_dim, channels, END_KERNEL, padding=END_KERNEL // 2))
        self.ups = nn.ModuleList(
            _small(transposed(wide, narrow, rate)) for wide, narrow, rate in zip(widths, widths[1:], self.rates)
        )
        self.fusions = nn.ModuleList(
            nn.ModuleList(ResBlock(width, kernel, dilations) for kernel in kernels) for width in widths[1:]
        )
        self.out = _small(nn.Conv1d(widths[-1], 1, END_KERNEL, padding=END_KERNEL // 2))
        fusion = max(kernels) // 2 * sum(dilation + 1 for dilation in dilations)
        margins = [END_KERNEL // 2, *[fusion] * len(self.rates)]
        margins[-1] += END_KERNEL // 2
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
        mask = inner_mask(x, mask, self.in_dim, "hifigan")
        x = zero_channels_first(x.transpose(1, 2), mask)  # (B, L, D) -> (B, D, L)
        x = zero_channels_first(self.embed(x), mask)
        fusions: list[Any] = list(self.fusions)
        for up, blocks, rate in zip(self.ups, fusions, self.rates):
            mask = at_rate(mask, rate)
            x = zero_channels_first(up(_activate(x)), mask)  # (B, C, L) -> (B, C / 2, L * rate)
            x = reduce(torch.add, [block(x, mask) for block in blocks]) / len(blocks)
        with torch.autocast(x.device.type, enabled=False):
            x = torch.tanh(self.out(_activate(x.float())))
        return zero_channels_first(x, mask).squeeze(1)  # (B, 1, N) -> (B, N)

    def fold(self) -> None:
        """Replace weight normalisation by the normalised weights, for inference; the keys of the state dict change."""
        modules: list[Any] = list(self.modules())
        for module in modules:
            if parametrize.is_parametrized(module, "weight"):
                weight = nn.Parameter(module.weight.detach())
                # remove_parametrizations would change the class, which a deep copy shares with its original.
                module.__class__ = parametrize.type_before_parametrizations(module)
                del module.parametrizations
                module.weight = weight
