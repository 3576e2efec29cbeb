"""Masks of features, as SpecAugment (Park et al. 2019) has them of spectrograms."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FeatureMasks(nn.Module):
    """In training, features are zero in random spans of time and in random channels, others for each clip; at inference
    they are unchanged. Random numbers are those of torch's global generators.

    Args:
        time_share: share of the frames, on average.
        frames: length of a span; spans may overlap.
        channel_share: share of the channels, each masked in the whole clip, on average.
    """

    def __init__(self, time_share: float, frames: int, channel_share: float) -> None:
        super().__init__()
        self.time_share, self.frames, self.channel_share = time_share, frames, channel_share

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,D) -> (B,T,D)."""
        if not self.training:
            return x
        hidden = random_spans(x[:, :, 0], self.time_share, self.frames)[:, :, None]  # (B, T, 1)
        return x.masked_fill(hidden | random_spans(x[:, 0], self.channel_share, 1)[:, None], 0)


def random_spans(like: Tensor, share: float, length: int) -> Tensor:
    """Spans at random positions, which may overlap.

    Args:
        like: (B,L), for shape and device.
        share: of the positions that are in a span, on average.
        length: of a span.

    Returns:
        bool (B,L), True inside spans.
    """
    rows, count = like.shape
    begins = torch.rand(rows, count + length - 1, device=like.device) < 1 - (1 - share) ** (1 / length)
    return F.max_pool1d(begins[:, None].float(), length, stride=1)[:, 0] > 0
