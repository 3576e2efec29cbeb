"""Conformer encoder (Gulati et al. 2020), in the sizes of SVTS (Mira et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.errors import UserError, suggestion
from v2skit.models.encoders.relative_attention import RelativeAttention, relative_positions
from v2skit.models.layers.masked import LookAheadConv1d, check_features, on_valid, zero_padding

SIZES = {
    "s": {"blocks": 6, "dim": 256, "heads": 4},
    "m": {"blocks": 12, "dim": 256, "heads": 4},
    "l": {"blocks": 12, "dim": 512, "heads": 8},
}


class FeedForward(nn.Sequential):
    """Two linear layers with SiLU between: (..., dim) -> (..., dim)."""

    def __init__(self, dim: int, ff_dim: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(dim),
            nn.Linear(dim, ff_dim),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(ff_dim, dim),
            nn.Dropout(dropout),
        )


class Convolution(nn.Module):
    """Gated depthwise convolution over time, batch-normalised over the valid frames: (B, T, dim) -> (B, T, dim)."""

    def __init__(self, dim: int, kernel: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.gated = nn.Linear(dim, 2 * dim)
        self.depthwise = LookAheadConv1d(dim, dim, kernel, ahead=0 if causal else None, groups=dim)
        self.batch_norm = nn.BatchNorm1d(dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B,T,D), valid frames (B,T) -> (B,T,D)."""
        x = F.glu(self.gated(self.norm(x)))
        x = F.silu(on_valid(self.batch_norm, self.depthwise(x, mask), mask))
        return self.dropout(self.out(x))


class Block(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward: (B, T, dim) -> (B, T, dim).

    Where the attention's ``reach``, frames back and ahead, is given, the convolution looks back only.
    """

    def __init__(
        self, dim: int, heads: int, ff_dim: int, conv_kernel: int, dropout: float, reach: tuple[int, int] | None
    ) -> None:
        super().__init__()
        self.reach = reach and (reach[0] + conv_kernel - 1, reach[1])
        self.first = FeedForward(dim, ff_dim, dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = RelativeAttention(dim, heads, dropout, reach)
        self.attention_dropout = nn.Dropout(dropout)
        self.convolution = Convolution(dim, conv_kernel, dropout, causal=reach is not None)
        self.second = FeedForward(dim, ff_dim, dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Features (B,T,D), embedded relative positions, valid frames (B,T) -> (B,T,D)."""
        x = x + 0.5 * self.first(x)
        x = x + self.attention_dropout(self.attention(self.attention_norm(x), positions, mask))
        x = x + self.convolution(x, mask)
        return self.norm(x + 0.5 * self.second(x))


class Conformer(nn.Module):
    """Conformer with relative positions and macaron feed-forwards; sizes s, m and l as in SVTS.

    Args:
        in_dim: features a frame; given by the toolkit.
        size: ``s`` (6 blocks, dim 256, 4 heads), ``m`` (12, 256, 4) or ``l`` (12, 512, 8).
        blocks: without a ``size``, the number of blocks; that of ``s`` where not given.
        dim: likewise, the features inside and out; even, and a multiple of ``heads``.
        heads: likewise, the attention heads.
        ff_dim: features inside a feed-forward.
        conv_kernel: of the depthwise convolution, frames, odd.
        dropout: everywhere.
        look_ahead_frames: later frames that the output may depend on, shared out among the blocks' attention; the
            convolutions then look back only. Null: the whole clip.
        attention_frames: with it, how many frames back the attention of each block sees.

    Raises:
        UserError: the size is unknown, or one of the others contradicts it or the rest.
    """

    def __init__(
        self,
        in_dim: int,
        size: str | None = None,
        blocks: int | None = None,
        dim: int | None = None,
        heads: int | None = None,
        ff_dim: int = 2048,
        conv_kernel: int = 31,
        dropout: float = 0.1,
        look_ahead_frames: int | None = None,
        attention_frames: int | None = None,
    ) -> None:
        super().__init__()
        shape = _resolve(size, {"blocks": blocks, "dim": dim, "heads": heads})
        dim, heads = shape["dim"], shape["heads"]
        if dim % heads or dim % 2 or conv_kernel % 2 == 0:
            raise UserError(f"dim {dim} must be even and a multiple of heads {heads}, conv_kernel {conv_kernel} odd")
        self.in_dim, self.out_dim = in_dim, dim
        self.project = nn.Linear(in_dim, dim)
        self.dropout = nn.Dropout(dropout)
        reaches = _reaches(shape["blocks"], look_ahead_frames, attention_frames)
        self.blocks = nn.ModuleList(Block(dim, heads, ff_dim, conv_kernel, dropout, reach) for reach in reaches)
        self.look_ahead_frames, self.left_context_frames = look_ahead_frames, None
        if attention_frames is not None:
            self.left_context_frames = len(self.blocks) * (attention_frames + conv_kernel - 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features with temporal context.

        Args:
            x: (B, T, in_dim).
            mask: (B, T).

        Returns:
            (B, T, out_dim), zero where the mask is False.

        Raises:
            UserError: ``x`` has another shape.
        """
        check_features(x, mask, self.in_dim, "conformer")
        x = self.dropout(self.project(zero_padding(x, mask)))
        positions = relative_positions(x.shape[1], self.out_dim, like=x)
        for block in self.blocks:
            x = block(x, positions, mask)
        return zero_padding(x, mask)

    def links(self) -> list[tuple[Callable[[Tensor, Tensor], Tensor], int, int]]:
        """The steps of the encoder, (B,T,D), (B,T) -> (B,T,dim), with the left and right context of each, frames.

        To run it live block by block takes far less than to run all of it on all that it sees.
        """

        def through(block: Block, x: Tensor, mask: Tensor) -> Tensor:
            return block(x, relative_positions(x.shape[1], self.out_dim, like=x), mask)

        blocks: list[Any] = list(self.blocks)
        steps = [(partial(through, block), *block.reach) for block in blocks]
        return [(lambda x, mask: self.dropout(self.project(x)), 0, 0), *steps]


def _reaches(blocks: int, ahead: int | None, back: int | None) -> list[tuple[int, int] | None]:
    """Frames back and ahead for the attention of each block."""
    if ahead is None and back is None:
        return [None] * blocks
    if ahead is None or back is None:
        given, missing = ("attention_frames", "look_ahead_frames")[:: 1 if ahead is None else -1]
        raise UserError(f"{given} does nothing without {missing}; give both to limit what the encoder sees, or neither")
    if ahead < 0 or back < 0:
        raise UserError(f"look_ahead_frames {ahead} and attention_frames {back} must not be negative")
    return [(back, ahead // blocks + (block < ahead % blocks)) for block in range(blocks)]


def _resolve(size: str | None, given: dict[str, int | None]) -> dict[str, int]:
    """Blocks, dim and heads from the size and from those that are given."""
    if size is not None and size not in SIZES:
        raise UserError(f"unknown size '{size}'{suggestion(size, SIZES)}")
    preset = SIZES[size or "s"]
    chosen = {name: value for name, value in given.items() if value is not None}
    for name, value in chosen.items():
        if size is not None and value != preset[name]:
            raise UserError(f"{name} {value} contradicts size '{size}' ({preset[name]}); give one of the two")
        if value < 1:
            raise UserError(f"{name} {value} must be at least 1")
    return {**preset, **chosen}
