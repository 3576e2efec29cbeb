"""A convolutional encoder."""

from torch import Tensor, nn

from v2skit.config.limits import Depth, Kernel, Width
from v2skit.models.layers.masked import MaskedConv1d, zero_padding


class MyComponent(nn.Module):
    """Residual convolutions over time.

    Args:
        in_dim: features a video frame; given by the toolkit.
        dim: features of the output.
        layers: number of convolutions.
        kernel: video frames of each; odd.
    """

    def __init__(self, in_dim: int, dim: Width = 128, layers: Depth = 4, kernel: Kernel = 5) -> None:
        super().__init__()
        self.out_dim = dim
        self.left_context_frames = self.look_ahead_frames = layers * (kernel // 2)
        self.project = nn.Linear(in_dim, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(layers))
        self.convs = nn.ModuleList(MaskedConv1d(dim, dim, kernel, padding=kernel // 2) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B,T,in_dim), valid video frames (B,T) -> (B,T,dim), zero beyond the mask."""
        x = self.project(x)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = x + conv(nn.functional.silu(norm(x)), mask)
        return zero_padding(x, mask)
