"""Head with the fundamental frequency (F0) and the voicing of every mel frame."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.config.limits import Depth, Width
from v2skit.models.layers.masked import check_features
from v2skit.models.layers.mel_rate import MelRate
from v2skit.signal.f0 import check_f0_range


class F0Head(nn.Module):
    """ConvNeXt blocks at the mel frame rate, then a linear layer to F0 and to the logit of voicing.

    The logarithm of F0 goes from that of ``floor_hz`` to that of ``ceiling_hz`` as a logistic function; it is defined
    where unvoiced, too, and trained only where voiced.

    Args:
        in_dim: features a video frame; given by the toolkit.
        clock: given by the toolkit.
        mel: given by the toolkit.
        dim: features a mel frame.
        blocks: number of ConvNeXt blocks.
        floor_hz: lowest F0, Hz.
        ceiling_hz: highest F0, Hz.

    Raises:
        UserError: the range of F0 is empty.
    """

    outputs = ("f0", "voicing")

    def __init__(
        self,
        in_dim: int,
        clock: Clock,
        mel: Mel,
        dim: Width = 128,
        blocks: Depth = 2,
        floor_hz: float = 60.0,
        ceiling_hz: float = 500.0,
    ) -> None:
        super().__init__()
        self.in_dim, self.floor_hz, self.ceiling_hz = in_dim, floor_hz, ceiling_hz
        check_f0_range(self)
        self.trunk = MelRate(in_dim, mel.per_frame(clock), dim, blocks)
        self.linear = nn.Linear(dim, 2)

    def forward(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """F0 and voicing.

        Args:
            x: (B, T, in_dim).
            mask: (B, T), True for valid video frames.

        Returns:
            ``f0``: (B, F), Hz; ``voicing``: (B, F), the logit of the probability that a frame is voiced. Both are
            float32, and zero where the mask is False.

        Raises:
            UserError: ``x`` has another shape.
        """
        check_features(x, mask, self.in_dim, "f0")
        x, mask = self.trunk(x, mask)
        with torch.autocast(x.device.type, enabled=False):
            height, voicing = self.linear(x.float()).unbind(-1)
            f0 = self.floor_hz * (math.log(self.ceiling_hz / self.floor_hz) * height.sigmoid()).exp()
        return {"f0": f0.masked_fill(~mask, 0), "voicing": voicing.masked_fill(~mask, 0)}
