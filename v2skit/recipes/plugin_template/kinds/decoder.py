"""A mel decoder."""

from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.config.limits import Width


class MyComponent(nn.Module):
    """Two layers from a video frame to its mel frames.

    Args:
        in_dim: features E of the encoder; given by the toolkit.
        clock: given by the toolkit.
        mel: given by the toolkit.
        hidden: width between the layers.
    """

    output = "mel"
    left_context_frames = look_ahead_frames = 0  # video frames around a frame that its output depends on

    def __init__(self, in_dim: int, clock: Clock, mel: Mel, hidden: Width = 128) -> None:
        super().__init__()
        self.n_mels = mel.n_mels
        self.layers = nn.Sequential(
            nn.Linear(in_dim, hidden), nn.SiLU(), nn.Linear(hidden, mel.per_frame(clock) * mel.n_mels)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B,T,E), valid video frames (B,T) -> log mel (B,F,M), zero beyond the mask."""
        y = (5 * self.layers(x) - 5) * mask[..., None]  # a log mel is about -5 on average
        return y.reshape(len(y), -1, self.n_mels)  # (B, T, k M) -> (B, T k, M)
