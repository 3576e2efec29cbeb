"""An audio frontend."""

from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.config.limits import Width
from v2skit.models.layers.masked import zero_padding


class MyComponent(nn.Module):
    """Two layers from the mel frames of a video frame to its features.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        hidden: width between the layers.
        out_dim: features a video frame.
    """

    input = "mel"
    left_context_frames = look_ahead_frames = 0  # video frames around a frame that its output depends on

    def __init__(self, clock: Clock, mel: Mel, hidden: Width = 256, out_dim: Width = 128) -> None:
        super().__init__()
        self.out_dim, self.width = out_dim, mel.per_frame(clock) * mel.n_mels
        self.layers = nn.Sequential(nn.Linear(self.width, hidden), nn.SiLU(), nn.Linear(hidden, out_dim))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Log mel (B,F,M), valid video frames (B,T) -> (B,T,out_dim), zero beyond the mask."""
        frames = x.reshape(*mask.shape, self.width)  # (B, T k, M) -> (B, T, k M)
        return zero_padding(self.layers(frames / 5 + 1), mask)  # a log mel is about -5 on average
