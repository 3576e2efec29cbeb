"""Visual frontends: a 3-D convolution over time and space, then a 2-D residual network on every frame."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.limits import Depth, Width
from v2skit.errors import UserError
from v2skit.models.layers.link import Link
from v2skit.models.layers.masked import check_frames, put_valid, take_valid
from v2skit.models.layers.pointwise import PointwiseConv2d

TEMPORAL_KERNEL = 5


class Block2d(nn.Module):
    """Basic residual block (He et al. 2016, fig. 2): (N, C, H, W) -> (N, C', H / stride, W / stride).

    Args:
        in_channels: C.
        channels: C'.
        stride: of the first convolution and of the shortcut.
        activation: channels -> one of the two activations.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, activation: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.activation1, self.activation2 = activation(channels), activation(channels)
        self.shortcut = nn.Sequential()
        if stride > 1 or in_channels != channels:
            self.shortcut.append(PointwiseConv2d(in_channels, channels, stride))
            self.shortcut.append(nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Features of frames (N, C, H, W) -> (N, C', H', W')."""
        y = self.activation1(self.norm1(self.conv1(x)))
        return self.activation2(self.norm2(self.conv2(y)) + self.shortcut(x))


class StemConv(nn.Conv2d):
    """The 5x7x7 convolution of the stem, with the frames as channels: (N, 5, H, W) -> (N, C, H / 2, W / 2).

    Args:
        channels: C.
        ahead: of the five frames, those after the current one.
    """

    time_dim = 1

    def __init__(self, channels: int, ahead: int) -> None:
        super().__init__(TEMPORAL_KERNEL, channels, 7, stride=2, padding=3, bias=False)
        self.ahead = ahead


class ResNet3d(nn.Module):
    """3-D convolutional stem and 2-D ResNet-18 on mouth crops: (B,T,1,H,W) -> (B,T,D).

    From Stafylakis and Tzimiropoulos 2017, as used by SVTS (Mira et al. 2022). The crops have one channel, so the 5x7x7
    stem is computed as a 2-D convolution with five neighbouring frames as channels. Thus all layers are 2-D, in memory
    format channels last, and run on the valid frames only: padding costs no time and does not enter batch statistics.
    Beyond the ends of a clip the input of the stem is zero.

    Args:
        channels: channels of each stage; those of the first are also the stem's, those of the last the features D.
        blocks: residual blocks in each stage.
        look_ahead_frames: of the stem's five frames, those after the current one.

    Raises:
        UserError: an argument is out of range.
    """

    input = "video"
    crop = 88

    def __init__(
        self, channels: tuple[Width, ...] = (64, 128, 256, 512), blocks: Depth = 2, look_ahead_frames: int = 2
    ) -> None:
        super().__init__()
        if not channels or min(channels) < 1 or blocks < 1:
            raise UserError(f"channels {channels} and blocks {blocks} must be positive, with at least one stage")
        if not 0 <= look_ahead_frames < TEMPORAL_KERNEL:
            raise UserError(f"look_ahead_frames {look_ahead_frames} must lie in 0..{TEMPORAL_KERNEL - 1}")
        self.out_dim = channels[-1]
        self.left_context_frames, self.look_ahead_frames = TEMPORAL_KERNEL - 1 - look_ahead_frames, look_ahead_frames
        self.stem = nn.Sequential(
            StemConv(channels[0], look_ahead_frames),
            nn.BatchNorm2d(channels[0]),
            self.activation(channels[0]),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.stages = nn.Sequential()
        width = channels[0]
        for stage, stage_width in enumerate(channels):
            for block in range(blocks):
                self.stages.append(Block2d(width, stage_width, 2 if stage and not block else 1, self.activation))
                width = stage_width

    def activation(self, channels: int) -> nn.Module:
        """One activation, for so many channels; a class with another kind of them overrides it."""
        return nn.SiLU()

    def forward(self, video: Tensor, mask: Tensor) -> Tensor:
        """Features of every video frame.

        Args:
            video: (B, T, 1, H, W), gray values, normalised.
            mask: (B, T), True for valid frames.

        Returns:
            (B, T, out_dim), zero where the mask is False.

        Raises:
            UserError: the video is not of this shape.
        """
        if video.ndim != 5 or video.shape[2] != 1:
            raise UserError(f"resnet3d: video of shape {tuple(video.shape)}; give gray crops (B, T, 1, H, W)")
        check_frames(video.shape[1], mask, 1, "resnet3d: video")
        return self._frame_by_frame(self._neighbours(video, mask), mask)

    def links(self) -> list[Link]:
        """The frames of the stem's kernel side by side, and the rest, which depends on no other frame: for live
        synthesis, in which each frame is so computed only once."""
        return [Link(self._neighbours, self.left_context_frames, self.look_ahead_frames), Link(self._frame_by_frame)]

    def _neighbours(self, video: Tensor, mask: Tensor) -> Tensor:
        """Crops (B,T,1,H,W) -> those of the stem's kernel at each frame (B,T,H,W,5)."""
        frames = video.squeeze(2).masked_fill(~mask[:, :, None, None], 0)
        frames = F.pad(frames, (0, 0, 0, 0, self.left_context_frames, self.look_ahead_frames))
        return frames.unfold(1, TEMPORAL_KERNEL, 1)

    def _frame_by_frame(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(B,T,H,W,5) -> features (B,T,D)."""
        x = take_valid(frames, mask).permute(0, 3, 1, 2)  # (N, 5, H, W)
        x = x.contiguous(memory_format=torch.channels_last)
        return put_valid(self.stages(self.stem(x)).mean((2, 3)), mask)


class ResNet3dSmall(ResNet3d):
    """ResNet3d with few channels and one block a stage, for CPUs: training takes about 1 ms a frame on one core.

    Args:
        channels: channels of each stage, as for ResNet3d.
        blocks: residual blocks in each stage.
        look_ahead_frames: of the stem's five frames, those after the current one.
    """

    def __init__(
        self, channels: tuple[Width, ...] = (16, 32, 64, 128), blocks: Depth = 1, look_ahead_frames: int = 2
    ) -> None:
        super().__init__(channels, blocks, look_ahead_frames)
