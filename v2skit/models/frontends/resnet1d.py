"""Audio frontend on the waveform: a 1-D ResNet-18, averaged over each video frame."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Clock
from v2skit.config.limits import Depth, Width
from v2skit.errors import UserError
from v2skit.models.layers.masked import MaskedConv1d, check_frames, on_valid, zero_padding

STEM_KERNEL, STEM_STRIDE = 80, 4


class Block1d(nn.Module):
    """Basic residual block over time (He et al. 2016) with masks: (B, L, C) -> (B, L / stride, C')."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = MaskedConv1d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm1d(channels)
        self.conv2 = MaskedConv1d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm1d(channels)
        self.shortcut = None
        if stride > 1 or in_channels != channels:
            self.shortcut = MaskedConv1d(in_channels, channels, 1, stride, bias=False)
            self.shortcut_norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor, mask: Tensor, out_mask: Tensor) -> Tensor:
        """Features (B, L, C), their mask (B, L), the output's mask (B, L') -> (B, L', C')."""
        y = F.silu(on_valid(self.norm1, self.conv1(x, mask), out_mask))
        y = on_valid(self.norm2, self.conv2(y, out_mask), out_mask)
        if self.shortcut is not None:
            x = on_valid(self.shortcut_norm, self.shortcut(x, mask), out_mask)
        return F.silu(y + x)


class ResNet1d(nn.Module):
    """1-D ResNet-18 on the waveform, average-pooled to the video frame rate: (B,N) -> (B,T,D).

    This is the audio encoder of the raw-waveform family (V2S-WGAN, Mira et al. 2022; Kefalas et al. 2024). With a total
    stride of s samples, position i covers the samples [i s, (i + 1) s) and is pooled into the video frame that contains
    its centre, so that the frames are aligned whether or not s divides the samples of a video frame.

    Args:
        clock: given by the toolkit.
        channels: channels of each stage; those of the last are the features D.
        blocks: residual blocks in each stage.

    Raises:
        UserError: an argument is not positive, or the total stride exceeds a video frame.
    """

    input = "waveform"

    def __init__(self, clock: Clock, channels: tuple[Width, ...] = (64, 128, 256, 512), blocks: Depth = 2) -> None:
        super().__init__()
        if not channels or min(channels) < 1 or blocks < 1:
            raise UserError(f"channels {channels} and blocks {blocks} must be positive, with at least one stage")
        self.samples_per_frame = clock.samples_per_frame
        self.stride = STEM_STRIDE * 2 ** (len(channels) - 1)
        if self.stride > self.samples_per_frame:
            raise UserError(
                f"{len(channels)} stages have a stride of {self.stride} samples, more than a video frame's "
                f"{self.samples_per_frame}; use fewer stages or a higher sample rate"
            )
        self.out_dim = channels[-1]
        padding = (STEM_KERNEL - STEM_STRIDE) // 2
        self.stem = MaskedConv1d(1, channels[0], STEM_KERNEL, STEM_STRIDE, padding=padding, bias=False)
        self.stem_norm = nn.BatchNorm1d(channels[0])
        self.stages = nn.ModuleList()
        width = channels[0]
        for stage, stage_width in enumerate(channels):
            for block in range(blocks):
                self.stages.append(Block1d(width, stage_width, stride=2 if stage and not block else 1))
                width = stage_width

    def forward(self, waveform: Tensor, mask: Tensor) -> Tensor:
        """Features of every video frame.

        Args:
            waveform: (B, T * samples_per_frame).
            mask: (B, T), True for valid video frames.

        Returns:
            (B, T, out_dim), zero where the mask is False.

        Raises:
            UserError: the waveform has another length.
        """
        check_frames(waveform.shape[-1], mask, self.samples_per_frame, "resnet1d: waveform")
        sample_mask = mask.repeat_interleave(self.samples_per_frame, dim=1)
        spare = -waveform.shape[1] % self.stride
        x = F.pad(waveform, (0, spare)).unsqueeze(-1)  # (B, L) -> (B, L, 1)
        sample_mask = F.pad(sample_mask, (0, spare))
        at_stride = sample_mask[:, ::STEM_STRIDE]
        x = F.silu(on_valid(self.stem_norm, self.stem(x, sample_mask), at_stride))
        stages: list[Any] = list(self.stages)
        for block in stages:
            out_mask = at_stride[:, :: block.conv1.stride[0]]
            x = block(x, at_stride, out_mask)
            at_stride = out_mask
        return zero_padding(self._average(x, mask.shape[1]), mask)

    def _average(self, x: Tensor, frames: int) -> Tensor:
        """The mean over each video frame: (B, L, C) -> (B, T, C)."""
        centres = torch.arange(x.shape[1], device=x.device) * self.stride + self.stride // 2
        frame = centres // self.samples_per_frame  # (L,); T where the centre is beyond the end
        total = x.new_zeros(x.shape[0], frames + 1, x.shape[2]).index_add(1, frame, x)
        return total[:, :frames] / frame.bincount(minlength=frames + 1)[:frames, None]
