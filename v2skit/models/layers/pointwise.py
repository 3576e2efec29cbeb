"""1x1 convolution with a stride, safe on every instruction set."""

from __future__ import annotations

from torch import Tensor, nn


class PointwiseConv2d(nn.Conv2d):
    """1x1 convolution of every ``stride``-th pixel: (N, C, H, W) -> (N, C', ceil(H / stride), ceil(W / stride)).

    The pixels are selected before a convolution of stride 1, which is the same function. oneDNN's own strided kernel
    for AVX2 writes out of bounds in the backward pass for fewer than 8 input channels, channels last (seen with torch
    2.11).

    Args:
        in_channels: C.
        channels: C'.
        stride: pixels from one to the next, in both directions.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, channels, 1, bias=False)
        self.every = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) -> (N,C',ceil(H/stride),ceil(W/stride))."""
        return super().forward(x[:, :, :: self.every, :: self.every])
