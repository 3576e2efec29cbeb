"""Decoder of units: a class for every step, from which a vocoder for units makes the waveform."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from v2skit.config.limits import Dropout
from v2skit.data.batch import Batch
from v2skit.models.heads.units import UnitsHead
from v2skit.models.layers.units import masked_cross_entropy


class Units(nn.Module):
    """Predicts the units of a target, trained by cross-entropy (ReVISE, Hsu et al. 2023; Choi et al. 2023).

    Args:
        in_dim: features a video frame; given by the toolkit.
        targets: the targets by stream; given by the toolkit.
        label_smoothing: share of the probability that is distributed over all units in training.

    Raises:
        UserError: there is no target ``units``, or it has no units.
    """

    output = "units"
    left_context_frames = look_ahead_frames = 0
    training_arguments = ("label_smoothing",)

    def __init__(self, in_dim: int, targets: dict[str, Any], label_smoothing: Dropout = 0.1) -> None:
        super().__init__()
        self.head = UnitsHead(in_dim, targets, self.output)
        self.per_frame = self.head.per_frame
        self.label_smoothing = label_smoothing

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The most probable units: features (B,T,in_dim), mask (B,T) -> long (B, T * per_frame), 0 for padding."""
        return self.head(x, mask)[self.output].argmax(-1)

    def training_loss(self, x: Tensor, mask: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy over the valid video frames: ``{"cross_entropy": scalar}``."""
        logits = self.head(x, mask)[self.output]
        return {"cross_entropy": masked_cross_entropy(logits, batch.stream(self.output), mask, self.label_smoothing)}
