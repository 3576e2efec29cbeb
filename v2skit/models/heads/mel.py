"""Head with a log mel, for decoders that give another stream."""

from __future__ import annotations

from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.models.decoders.mel_linear import MelLinear


class MelHead(nn.Module):
    """The decoder :class:`v2skit.models.decoders.mel_linear.MelLinear` as a head, for losses of the mel.

    Args:
        in_dim: features a video frame; given by the toolkit.
        clock: given by the toolkit.
        mel: given by the toolkit.
        mean: as of ``mel_linear``.
        std: as of ``mel_linear``.

    Raises:
        UserError: ``std`` is not positive.
    """

    outputs = ("mel",)

    def __init__(self, in_dim: int, clock: Clock, mel: Mel, mean: float = -5.0, std: float = 2.5) -> None:
        super().__init__()
        self.decoder = MelLinear(in_dim, clock, mel, mean, std)

    def forward(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Features (B,T,in_dim), mask (B,T) -> ``{"mel": (B, T * mels_per_frame, n_mels)}``, float32 also under
        autocast, zero for padding."""
        return {"mel": self.decoder(x, mask)}
