"""HiFi-GAN generator (Kong et al. 2020): every upsampling is followed by a fusion of several receptive fields."""

from __future__ import annotations

from functools import partial, reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from v2skit.errors import UserError
from v2skit.models.decoders.rates import at_rate, inner_mask, reach, transposed, upsampling_rates
from v2skit.models.layers.masked import zero_channels_first

END_KERNEL = 7
INIT_STD = 0.01
_activate = partial(F.leaky_relu, negative_slope=0.1)


def _small(conv: nn.Conv1d | nn.ConvTranspose1d) -> nn.Module:
    """Weights drawn with a small deviation, then normalised."""
    nn.init.normal_(conv.weight, std=INIT_STD)
    return weight_norm(conv)


class ResBlock(nn.Module):
    """Residual pairs of convolutions, the first of each pair dilated (section 2.2): (B, C, L) -> (B, C, L).

    Takes and gives zeros where the mask (B, L) is False.
    """

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            padding = dilation * (kernel // 2)
            return _small(nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation))

        self.dilated = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.plain = nn.ModuleList(conv(1) for _ in dilations)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Features (B,N,C), what is valid of them (B,N) -> (B,N,C)."""
        for dilated, plain in zip(self.dilated, self.plain):
            y = zero_channels_first(dilated(_activate(x)), mask)
            x = x + zero_channels_first(plain(_activate(y)), mask)
        return x


class HifiGan(nn.Module):
    """Transposed convolutions and multi-receptive-field fusion, with weight normalisation (section 2.2).

    Args:
        in_dim: features an input step; given by the toolkit.
        step: samples an input step; given by the toolkit.
        channels: at the rate of the input; each upsampling halves them. 512 as in V1, 128 as in V2.
        rates: of the upsamplings, with the product ``step``; null: few and even ones.
        kernels: of the residual blocks that are averaged; odd.
        dilations: in every residual block.

    Raises:
        UserError: the rates do not fit the step, too few channels to be halved so often, or an even kernel.
    """

    output = "waveform"

    def __init__(
        self,
        in_dim: int,
        step: int,
        channels: int = 512,
        rates: list[int] | None = None,
        kernels: tuple[int, ...] = (3, 7, 11),
        dilations: tuple[int, ...] = (1, 3, 5),
    ) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.rates = upsampling_rates(step, rates)
        if channels < 2 ** len(self.rates):
            raise UserError(
                f"channels {channels} can't be halved {len(self.rates)} times; take {2 ** len(self.rates)} or more"
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
        """Bake the weight normalisation into the weights, for inference: other keys in the state dict, same output."""
        modules: list[Any] = list(self.modules())
        for module in modules:
            if parametrize.is_parametrized(module, "weight"):
                weight = nn.Parameter(module.weight.detach())
                # remove_parametrizations would change the class, which a deep copy shares with its original.
                module.__class__ = parametrize.type_before_parametrizations(module)
                del module.parametrizations
                module.weight = weight
