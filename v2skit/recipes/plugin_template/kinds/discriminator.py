"""A discriminator of adversarial losses."""

from itertools import pairwise

from torch import Tensor, nn

from v2skit.config.limits import Depth, Width


class MyComponent(nn.Module):
    """Strided convolutions of the waveform, whose last layer is averaged over time.

    Args:
        channels: of each layer.
        layers: convolutions.
    """

    def __init__(self, channels: Width = 16, layers: Depth = 4) -> None:
        super().__init__()
        widths = [1, *[channels] * layers]
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, 15, stride=4, padding=7) for before, after in pairwise(widths)
        )
        self.score = nn.Linear(channels, 1)

    def forward(self, waveform: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Waveform (B,N) -> [(score (B,), higher for real speech, the output (B,C,L) of each layer)]."""
        x, features = waveform[:, None], []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), 0.2)
            features.append(x)
        return [(self.score(x.mean(2))[:, 0], features)]
