"""Mel decoder: one linear layer from a video frame to its mel frames."""

from __future__ import annotations

from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.layers.masked import check_features, zero_padding


class MelLinear(nn.Module):
    """Linear layer from a video frame to all of its mel frames (SVTS, Mira et al. 2022): (B,T,in_dim) -> (B,F,M).

    Args:
        in_dim: features a video frame; given by the toolkit.
        clock: given by the toolkit.
        mel: given by the toolkit.
        mean: added to the output, so that training starts near the mean of the data.
        std: factor of the output, so that training starts near the deviation of the data.

    Raises:
        UserError: ``std`` is not positive.
    """

    output = "mel"
    left_context_frames = look_ahead_frames = 0

    def __init__(self, in_dim: int, clock: Clock, mel: Mel, mean: float = -5.0, std: float = 2.5) -> None:
        super().__init__()
        if std <= 0:
            raise UserError(f"std {std} must be positive")
        self.in_dim, self.n_mels, self.mean, self.std = in_dim, mel.n_mels, mean, std
        self.linear = nn.Linear(in_dim, mel.per_frame(clock) * mel.n_mels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The log mel.

        Args:
            x: (B, T, in_dim).
            mask: (B, T), True for valid video frames.

        Returns:
            (B, T * mels_per_frame, n_mels), float32 also under autocast, zero for the video frames where the mask is
            False.

        Raises:
            UserError: ``x`` has another shape.
        """
        check_features(x, mask, self.in_dim, "mel_linear")
        mel = zero_padding(self.linear(x).float() * self.std + self.mean, mask)
        return mel.unflatten(-1, (-1, self.n_mels)).flatten(1, 2)  # (B, T, k M) -> (B, T k, M)
