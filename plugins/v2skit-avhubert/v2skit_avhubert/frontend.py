"""AV-HuBERT (Shi et al. 2022) on silent video, as a visual frontend."""

from __future__ import annotations

import functools
import sys
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Clock
from v2skit.config.limits import Depth, Dropout, Kernel, Width
from v2skit.errors import UserError
from v2skit.models.frontends.resnet3d import ResNet3d
from v2skit.models.layers.masked import LookAheadConv1d, zero_padding

SIZES = {
    "base": {"dim": 768, "layers": 12, "heads": 12, "ff_dim": 3072},
    "large": {"dim": 1024, "layers": 24, "heads": 16, "ff_dim": 4096},
}
FPS, CROP = 25, 88
LICENCE = (
    "AV-HuBERT is licensed under the AV-HuBERT license, Copyright (c) Meta Platforms, Inc. All Rights Reserved. "
    "It allows non-commercial research only, also with models trained from these weights."
)


class Trunk(ResNet3d):
    """ResNet-18 behind a 3-D convolution, with one slope of PReLU a channel: (B,T,1,H,W) -> (B,T,D)."""

    def activation(self, channels: int) -> nn.Module:
        return nn.PReLU(channels)


class AvHubert(nn.Module):
    """The visual branch and the transformer of AV-HuBERT: (B,T,1,H,W) -> (B,T,dim).

    Shi et al. 2022, "Learning Audio-Visual Speech Representation by Masked Multimodal Cluster Prediction", fig. 1, with
    the features of the audio as zeros, as in the authors' fine-tuning on video alone. Its input, grey crops of 88x88 at
    25 frames/s with mean 0.421 and deviation 0.165 of the range 0..1, is what the toolkit gives by default; crops of
    another size are scaled to that one. The weights are random, unless ``parts.visual_frontend.init`` names the file
    that ``v2skit import-avhubert`` makes.

    Args:
        clock: given by the toolkit.
        size: ``base`` or ``large``.
        dim: features of the transformer and of the output; null: that of ``size``.
        layers: of the transformer; null: that of ``size``.
        heads: of the attention; null: that of ``size``.
        ff_dim: hidden features of a feed-forward layer; null: that of ``size``.
        norm_first: layer normalisation before attention and feed-forward layers, else after them.
        position_kernel: kernel size of the convolution that encodes positions, video frames.
        position_groups: its groups.
        channels: channels of each stage of the ResNet.
        blocks: residual blocks in each stage.
        dropout: dropout probability of the transformer and its input.

    Raises:
        UserError: the sizes do not fit together, or the clock has another frame rate than 25 Hz.
    """

    input = "video"
    crop = CROP
    left_context_frames = look_ahead_frames = None

    def __init__(
        self,
        clock: Clock,
        size: Literal["base", "large"] = "base",
        dim: Width | None = None,
        layers: Depth | None = None,
        heads: Depth | None = None,
        ff_dim: Width | None = None,
        norm_first: bool = True,
        position_kernel: Kernel = 128,
        position_groups: Width = 16,
        channels: tuple[Width, ...] = (64, 128, 256, 512),
        blocks: Depth = 2,
        dropout: Dropout = 0.1,
    ) -> None:
        super().__init__()
        given = {"dim": dim, "layers": layers, "heads": heads, "ff_dim": ff_dim}
        shape = {**SIZES[size], **{name: value for name, value in given.items() if value is not None}}
        dim, heads = shape["dim"], shape["heads"]
        if dim % heads or dim % position_groups:
            raise UserError(f"dim {dim} must be a multiple of heads {heads} and of position_groups {position_groups}")
        if clock.fps != FPS:
            raise UserError(f"AV-HuBERT is for {FPS} frames/s, not {clock.fps}; set clock.fps: {FPS}")
        self.out_dim, self.norm_first = dim, norm_first
        self.trunk = Trunk(channels, blocks)
        self.project = nn.Linear(self.trunk.out_dim, dim)
        self.fusion_norm = nn.LayerNorm(2 * dim)
        self.fusion = nn.Linear(2 * dim, dim)
        right = position_kernel - 1 - position_kernel // 2
        self.positions = LookAheadConv1d(dim, dim, position_kernel, right, position_groups)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, heads, shape["ff_dim"], dropout, F.gelu, batch_first=True, norm_first=norm_first
            )
            for _ in range(shape["layers"])
        )
        self.register_buffer("imported", torch.tensor(0))  # 1: from the authors' weights, whose licence applies

    def forward(self, video: Tensor, mask: Tensor) -> Tensor:
        """Features of every video frame.

        Args:
            video: (B, T, 1, H, W), grey values, normalised.
            mask: (B, T), True for valid frames.

        Returns:
            (B, T, dim), zero where the mask is False.

        Raises:
            UserError: the video is not of this shape.
        """
        if video.ndim == 5 and video.shape[3:] != (CROP, CROP):
            video = F.interpolate(video.flatten(0, 1), (CROP, CROP), mode="bilinear").unflatten(0, video.shape[:2])
        x = self.project(self.trunk(video, mask))  # (B, T, D)
        x = self.fusion_norm(torch.cat([torch.zeros_like(x), x], dim=2))  # audio, then video: (B, T, 2 D)
        x = self.dropout(self.fusion(x))
        x = zero_padding(x, mask)
        x = x + F.gelu(self.positions(x, mask))
        x = self.dropout(x if self.norm_first else self.norm(x))
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~mask)
        return zero_padding(self.norm(x) if self.norm_first else x, mask)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        if self.imported:
            state_licence()


@functools.cache
def state_licence() -> None:
    """Print the licence of the authors' weights, once in a process."""
    print(f"v2skit: {LICENCE}", file=sys.stderr)
