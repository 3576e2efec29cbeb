"""A visual frontend."""

from torch import Tensor, nn

from v2skit.config.limits import Width
from v2skit.models.layers.masked import zero_padding


class MyComponent(nn.Module):
    """Strided convolutions of each picture by itself, and their mean.

    Args:
        channels: of the first convolution; the second has twice and the third four times as many.
        out_dim: features a video frame.
    """

    input = "video"
    left_context_frames = look_ahead_frames = 0  # video frames around a frame that its output depends on

    def __init__(self, channels: Width = 16, out_dim: Width = 128) -> None:
        super().__init__()
        self.out_dim = out_dim
        widths = [1, channels, 2 * channels, 4 * channels]
        convs = [nn.Conv2d(widths[n], widths[n + 1], 3, stride=2, padding=1) for n in range(3)]
        self.layers = nn.Sequential(convs[0], nn.SiLU(), convs[1], nn.SiLU(), convs[2], nn.SiLU())
        self.project = nn.Linear(widths[-1], out_dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Mouth crops (B,T,1,H,W), valid video frames (B,T) -> (B,T,out_dim), zero beyond the mask."""
        if x.shape[:2] != mask.shape:
            raise ValueError(f"{x.shape[1]} pictures a clip for a mask of {mask.shape[1]}")
        pictures = self.layers(x.flatten(0, 1))  # (B T, 1, H, W) -> (B T, C, H/8, W/8)
        return zero_padding(self.project(pictures.mean((2, 3))).unflatten(0, mask.shape), mask)
