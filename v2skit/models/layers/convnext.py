"""ConvNeXt blocks over time, as in Vocos (Siuzdak 2024); for flow models, modulated by the flow's time."""

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

        ``modulation`` (B, 1, 2 dim): gain, less 1, and offset of the normalised features (adaptive layer norm, Peebles
        and Xie 2023, section 3.2).
        """
        y = self.norm(self.depthwise(x, mask))
        if modulation is not None:
            gain, offset = modulation.chunk(2, dim=-1)
            y = y * (1 + gain) + offset
        return x + self.scale * self.narrow(F.gelu(self.widen(y)))


def distribute(look_ahead: int | None, blocks: int) -> list[int]:
    """Distribute a look-ahead, in frames, over the convolutions of the blocks, from the last to the first.

    Args:
        look_ahead: of all blocks together; None: no limit, all convolutions are symmetric.
        blocks: number of blocks.
    """
    look_aheads: list[int] = []
    for _ in range(blocks):
        look_aheads.append(SIDE if look_ahead is None else min(SIDE, look_ahead - sum(look_aheads)))
    return look_aheads[::-1]
