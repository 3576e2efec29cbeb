"""ConvNeXt block over time, as in Vocos (Siuzdak 2024); for diffusion and flow models, modulated by time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.models.layers.masked import LookAheadConv1d

KERNEL = 7
SIDE = KERNEL // 2


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm, two linear layers, scaled residual: (B, F, dim) -> (B, F, dim).

    ``look_ahead``: frames after the current one in the convolution's kernel.
    """

    def __init__(self, dim: int, ff_dim: int, scale: float, look_ahead: int) -> None:
        super().__init__()
        self.depthwise = LookAheadConv1d(dim, dim, KERNEL, look_ahead, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, ff_dim)
        self.narrow = nn.Linear(ff_dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor, mask: Tensor, modulation: Tensor | None = None) -> Tensor:
        """Features (B, F, dim), mask (B, F) -> (B, F, dim).

        ``modulation`` (B, 1, 2 dim): gains, less 1, and offsets of the normalised features (adaptive layer norm,
        Peebles and Xie 2023, section 3.2).
        """
        y = self.norm(self.depthwise(x, mask))
        if modulation is not None:
            gain, offset = modulation.chunk(2, dim=-1)
            y = y * (1 + gain) + offset
        return x + self.scale * self.narrow(F.gelu(self.widen(y)))
