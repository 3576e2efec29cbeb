"""ConvNeXt blocks at the mel frame rate, and the step to it from the video frame rate."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from v2skit.models.layers.convnext import KERNEL, SIDE, ConvNeXtBlock
from v2skit.models.layers.masked import LookAheadConv1d


class ConvNeXt(nn.Module):
    """ConvNeXt blocks with hidden layers of three times ``dim``, then layer norm: (B, F, dim) -> (B, F, dim)."""

    def __init__(self, dim: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, 3 * dim, 1 / blocks, SIDE) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B,F,dim), mask (B,F) -> (B,F,dim), not zero where the mask is False."""
        blocks: list[Any] = list(self.blocks)
        for block in blocks:
            x = block(x, mask)
        return self.norm(x)


class MelRate(nn.Module):
    """A convolution to several mel frames a video frame, layer norm, ConvNeXt blocks.

    Args:
        in_dim: features a video frame.
        per_frame: mel frames a video frame.
        dim: features a mel frame.
        blocks: number of ConvNeXt blocks.
    """

    def __init__(self, in_dim: int, per_frame: int, dim: int, blocks: int) -> None:
        super().__init__()
        self.per_frame = per_frame
        self.embed = LookAheadConv1d(in_dim, per_frame * dim, KERNEL)
        self.embed_norm = nn.LayerNorm(dim)
        self.convnext = ConvNeXt(dim, blocks)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B,T,in_dim), mask (B,T) -> features (B, T * per_frame, dim), mask (B, T * per_frame).

        The features are not zero where the mask is False.
        """
        x = self.embed(x, mask).unflatten(-1, (self.per_frame, -1)).flatten(1, 2)  # (B, T, k D) -> (B, T k, D)
        mask = mask.repeat_interleave(self.per_frame, dim=1)
        return self.convnext(self.embed_norm(x), mask), mask
