"""Conformer encoder (Gulati et al. 2020), in the sizes of SVTS (Mira et al. 2022)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.limits import Context, Depth, Dropout, Kernel, Width
from v2skit.errors import UserError, suggestion
from v2skit.models.encoders.relative_attention import RelativeAttention, relative_positions
from v2skit.models.layers.link import Link
from v2skit.models.layers.masked import LookAheadConv1d, check_features, on_valid, zero_padding

SIZES = {
    "s": {"blocks": 6, "dim": 256, "heads": 4},
    "m": {"blocks": 12, "dim": 256, "heads": 4},
    "l": {"blocks": 12, "dim": 512, "heads": 8},
}
LookAheadIn = Literal["attention", "convolution"]


class BlockContext(NamedTuple):
    """How far a block's attention reaches back, and how far its attention and its convolution look ahead, in frames."""

    attention_left: int
    attention_ahead: int
    convolution_ahead: int

    def of_block(self, conv_kernel: int) -> tuple[int, int]:
        """Left and right context of the whole block, frames."""
        left = self.attention_left + conv_kernel - 1 - self.convolution_ahead
        return left, self.attention_ahead + self.convolution_ahead


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
    """Gated depthwise convolution over time, batch-normalised over the valid frames: (B, T, dim) -> (B, T, dim).

    ``ahead``: frames after the current one in its kernel; None: half of it.
    """

    def __init__(self, dim: int, kernel: int, dropout: float, ahead: int | None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.gated = nn.Linear(dim, 2 * dim)
        self.depthwise = LookAheadConv1d(dim, dim, kernel, ahead, groups=dim)
        self.batch_norm = nn.BatchNorm1d(dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, dim), mask (B, T) -> (B, T, dim)."""
        x = F.glu(self.gated(self.norm(x)))
        x = F.silu(on_valid(self.batch_norm, self.depthwise(x, mask), mask))
        return self.dropout(self.out(x))


class Block(nn.Module):
    """Half-step feed-forward, attention, convolution, half-step feed-forward: (B, T, dim) -> (B, T, dim).

    ``limit``: the context of its two layers; None: the whole clip. ``context``: that of the block, left and right, in
    frames.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        ff_dim: int,
        conv_kernel: int,
        dropout: float,
        limit: BlockContext | None,
    ) -> None:
        super().__init__()
        self.context = limit and limit.of_block(conv_kernel)
        self.first = FeedForward(dim, ff_dim, dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = RelativeAttention(dim, heads, dropout, limit and (limit.attention_left, limit.attention_ahead))
        self.attention_dropout = nn.Dropout(dropout)
        self.convolution = Convolution(dim, conv_kernel, dropout, limit and limit.convolution_ahead)
        self.second = FeedForward(dim, ff_dim, dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, dim), relative positions (2 T - 1, dim), mask (B, T) -> (B, T, dim)."""
        x = x + 0.5 * self.first(x)
        x = x + self.attention_dropout(self.attention(self.attention_norm(x), positions, mask))
        x = x + self.convolution(x, mask)
        return self.norm(x + 0.5 * self.second(x))


class Conformer(nn.Module):
    """Conformer with relative positional encoding and macaron feed-forward layers; sizes s, m and l as in SVTS.

    Args:
        in_dim: features a frame; given by the toolkit.
        size: ``s`` (6 blocks, dim 256, 4 heads), ``m`` (12, 256, 4) or ``l`` (12, 512, 8).
        blocks: number of blocks; null: that of ``size``, or of ``s`` where no size is given.
        dim: features of the blocks and of the output; even, and a multiple of ``heads``; null: as for ``blocks``.
        heads: attention heads; null: as for ``blocks``.
        ff_dim: hidden features of a feed-forward layer.
        conv_kernel: kernel size of the depthwise convolution, frames; odd.
        dropout: dropout probability of all layers.
        look_ahead_frames: look-ahead of the encoder in frames, distributed over the blocks. Null: the whole clip.
        attention_frames: left context of each block's attention in frames, to be given with ``look_ahead_frames``.
        look_ahead_in: what looks ahead in each block where ``look_ahead_frames`` are given, the other is causal then:
            its ``attention``, or its ``convolution``, by at most half a kernel a block. With the latter less of a model
            that sees the whole clip is lost.

    Raises:
        UserError: the size is unknown, or another argument contradicts it, is out of range or does not fit the others.
    """

    training_arguments = ("dropout",)

    def __init__(
        self,
        in_dim: int,
        size: str | None = None,
        blocks: Depth | None = None,
        dim: Width | None = None,
        heads: Depth | None = None,
        ff_dim: Width = 2048,
        conv_kernel: Kernel = 31,
        dropout: Dropout = 0.1,
        look_ahead_frames: Context | None = None,
        attention_frames: Context | None = None,
        look_ahead_in: LookAheadIn = "attention",
    ) -> None:
        super().__init__()
        shape = _resolve(size, {"blocks": blocks, "dim": dim, "heads": heads})
        dim, heads = shape["dim"], shape["heads"]
        if dim % heads or dim % 2 or conv_kernel % 2 == 0:
            raise UserError(f"dim {dim} must be even and a multiple of heads {heads}, conv_kernel {conv_kernel} odd")
        self.in_dim, self.out_dim = in_dim, dim
        self.project = nn.Linear(in_dim, dim)
        self.dropout = nn.Dropout(dropout)
        if look_ahead_in not in get_args(LookAheadIn):
            raise UserError(f"look_ahead_in '{look_ahead_in}' must be one of {', '.join(get_args(LookAheadIn))}")
        if look_ahead_in == "convolution" and look_ahead_frames is None:
            missing = "look_ahead_frames and attention_frames"
            raise UserError(f"look_ahead_in: convolution has no effect without {missing}; give them, or leave it out")
        most = conv_kernel // 2 if look_ahead_in == "convolution" else None
        limits = _limits(shape["blocks"], look_ahead_frames, attention_frames, most)
        built = [Block(dim, heads, ff_dim, conv_kernel, dropout, limit) for limit in limits]
        self.blocks = nn.ModuleList(built)
        self.look_ahead_frames, self.left_context_frames = look_ahead_frames, None
        if attention_frames is not None:
            self.left_context_frames = sum(block.context[0] for block in built if block.context)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features with temporal context.

        Args:
            x: (B, T, in_dim).
            mask: (B, T), True for valid frames.

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

    def links(self) -> list[Link]:
        """The layers of the encoder, (B, T, D), mask (B, T) -> (B, T, dim).

        For streaming: block by block costs far less than the whole encoder on its whole receptive field.
        """

        def through(block: Block, x: Tensor, mask: Tensor) -> Tensor:
            return block(x, relative_positions(x.shape[1], self.out_dim, like=x), mask)

        blocks: list[Any] = list(self.blocks)
        steps = [Link(partial(through, block), *block.context) for block in blocks]
        return [Link(lambda x, mask: self.dropout(self.project(x))), *steps]


def _limits(blocks: int, look_ahead: int | None, left: int | None, most: int | None) -> list[BlockContext] | list[None]:
    """The context of each block, None: the whole clip. ``most``: frames that a convolution can look ahead, None: the
    attention does. Raises UserError where one of look-ahead and left context is missing, or is out of range."""
    if look_ahead is None and left is None:
        return [None] * blocks
    if look_ahead is None or left is None:
        given, missing = ("attention_frames", "look_ahead_frames")[:: 1 if look_ahead is None else -1]
        raise UserError(
            f"{given} has no effect without {missing}; give both to limit the encoder's receptive field, or neither"
        )
    if look_ahead < 0 or left < 0:
        raise UserError(f"look_ahead_frames {look_ahead} and attention_frames {left} must not be negative")
    shares = [look_ahead // blocks + (block < look_ahead % blocks) for block in range(blocks)]
    if most is not None and look_ahead > blocks * most:
        raise UserError(
            f"look_ahead_frames {look_ahead} is more than the convolutions have, {blocks * most} (blocks x half a "
            "conv_kernel); give less, a larger conv_kernel, or look_ahead_in: attention"
        )
    return [BlockContext(left, *((share, 0) if most is None else (0, share))) for share in shares]


def _resolve(size: str | None, given: dict[str, int | None]) -> dict[str, int]:
    """Blocks, dim and heads, from the size and the arguments that are given."""
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
