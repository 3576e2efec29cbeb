"""Layers in which padding never enters a statistic, a neighbouring frame or the output.

A mask is (B, T) bool, True where a frame is valid; the valid frames of a clip come first.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from v2skit.errors import UserError


def all_valid(mask: Tensor) -> bool:
    """Whether a mask has no padding. What is exported processes one clip, and none of it is padding."""
    return torch.compiler.is_exporting() or bool(mask.all())


def take_valid(x: Tensor, mask: Tensor) -> Tensor:
    """The valid frames of all clips, one after the other: (B, T, ...), (B, T) -> (N, ...)."""
    if all_valid(mask):
        return x.flatten(0, 1)
    return x.flatten(0, 1).index_select(0, mask.flatten().nonzero().squeeze(1))


def put_valid(frames: Tensor, mask: Tensor) -> Tensor:
    """Undo :func:`take_valid`, with zeros for padding: (N, ...), (B, T) -> (B, T, ...)."""
    if all_valid(mask):
        return frames.unflatten(0, mask.shape)
    padded = frames.new_zeros(mask.numel(), *frames.shape[1:])
    return padded.index_copy(0, mask.flatten().nonzero().squeeze(1), frames).unflatten(0, mask.shape)


def on_valid(module: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """Apply a module to the valid frames only, so that padding does not enter batch statistics.

    Args:
        module: (N, C) -> (N, D), such as ``nn.BatchNorm1d``.
        x: (B, T, C).
        mask: (B, T).

    Returns:
        (B, T, D), zero where the mask is False.
    """
    return put_valid(module(take_valid(x, mask)), mask)


def norm_channels_first(norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """Normalise (B, C, L) over its valid positions, mask (B, L); None: all are valid. Zero where the mask is False."""
    if mask is None:
        return norm(x)
    return on_valid(norm, x.transpose(1, 2), mask).transpose(1, 2)


def zero_channels_first(x: Tensor, mask: Tensor | None) -> Tensor:
    """Zeros in (B, C, L) where the mask (B, L) is False; None: all are valid."""
    return x if mask is None else x.masked_fill(~mask[:, None], 0)


def zero_padding(x: Tensor, mask: Tensor) -> Tensor:
    """Zeros where the mask is False, even instead of NaN: (B, T, C), (B, T) -> (B, T, C)."""
    return x.masked_fill(~mask.unsqueeze(-1), 0)


def check_frames(length: int, mask: Tensor, per_frame: int, what: str) -> None:
    """Raises UserError unless ``length`` is ``per_frame`` times the number of video frames of the mask (B, T)."""
    if length != mask.shape[1] * per_frame:
        raise UserError(
            f"{what}: length {length} for {mask.shape[1]} video frames, but it must be {mask.shape[1] * per_frame} "
            f"({per_frame} a frame); prepare the data with the clock and mel settings of this config"
        )


def check_features(x: Tensor, mask: Tensor, dim: int, what: str) -> None:
    """Raises UserError unless ``x`` is (B, T, dim) for a mask (B, T)."""
    if x.shape != (*mask.shape, dim):
        raise UserError(
            f"{what}: input of shape {tuple(x.shape)}, but it was built for {(*mask.shape, dim)} (clips, "
            "video frames, features); set in_dim to the out_dim of the part before it"
        )


@runtime_checkable
class TimeKernel(Protocol):
    """A convolution whose look-ahead is a setting: with another one, the same weight applies to another frame.

    Attributes:
        ahead: frames of right context within the kernel.
        time_dim: dimension of time of its ``weight``.
    """

    ahead: int
    time_dim: int


class MaskedConv1d(nn.Conv1d):
    """Convolution over time that sees zeros beyond the mask, exactly as it does beyond the end of a clip.

    Has the arguments of ``nn.Conv1d``; maps (B, T, C), (B, T) -> (B, T', C').
    """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # unlike nn.Conv1d it needs a mask
        """Features (B,T,C), valid frames (B,T) -> (B,T',C')."""
        x = zero_padding(x, mask).transpose(1, 2)  # (B, T, C) -> (B, C, T)
        return super().forward(x).transpose(1, 2)  # (B, C', T') -> (B, T', C')


class LookAheadConv1d(MaskedConv1d):
    """Convolution over time with a limited right context, at most as long as its left context.

    Maps (B, T, C), (B, T) -> (B, T, C').

    Args:
        in_channels: C.
        out_channels: C'.
        kernel: frames, odd.
        ahead: frames of right context within the kernel; None: as many as of left context.
        groups: as in ``nn.Conv1d``.
    """

    time_dim = -1

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, ahead: int | None = None, groups: int = 1
    ) -> None:
        ahead = kernel // 2 if ahead is None else ahead
        super().__init__(in_channels, out_channels, kernel, padding=kernel - 1 - ahead, groups=groups)
        self.ahead = ahead

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # unlike nn.Conv1d it needs a mask
        """Features (B,T,C), valid frames (B,T) -> (B,T,C')."""
        return super().forward(x, mask)[:, : x.shape[1]]
