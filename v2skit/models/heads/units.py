"""Head with the logits of units."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from v2skit.models.layers.masked import check_features, zero_padding
from v2skit.models.layers.units import units_of


class UnitsHead(nn.Module):
    """Linear layer from a video frame to the logits of its units, which are clusters of speech features (for
    video-to-speech, Choi et al. 2023).

    Args:
        in_dim: features a video frame; given by the toolkit.
        targets: the targets by stream; given by the toolkit.
        stream: the units: a target with ``clusters`` and ``per_frame``, such as ``units``.

    Raises:
        UserError: there is no such target, or it has no units.
    """

    left_context_frames = look_ahead_frames = 0

    def __init__(self, in_dim: int, targets: dict[str, Any], stream: str = "units") -> None:
        super().__init__()
        target = units_of(targets, stream)
        self.in_dim, self.stream, self.outputs = in_dim, stream, (stream,)
        self.clusters, self.per_frame = target.clusters, target.per_frame
        self.linear = nn.Linear(in_dim, self.per_frame * self.clusters)

    def forward(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The logits.

        Args:
            x: (B, T, in_dim).
            mask: (B, T), True for valid video frames.

        Returns:
            ``{stream: (B, T * per_frame, clusters)}``, zero for the video frames where the mask is False.

        Raises:
            UserError: ``x`` has another shape.
        """
        check_features(x, mask, self.in_dim, "units")
        logits = zero_padding(self.linear(x), mask)
        return {self.stream: logits.unflatten(-1, (-1, self.clusters)).flatten(1, 2)}  # (B, T, k K) -> (B, T k, K)
