"""A head that reads lips."""

from typing import Any

from torch import Tensor, nn

from v2skit.config.limits import Kernel, Width
from v2skit.models.layers.masked import MaskedConv1d, zero_padding


class MyComponent(nn.Module):
    """A convolution over time, then a linear layer to the logits of tokens and the blank, for the loss ``ctc``.

    Args:
        in_dim: features a video frame; given by the toolkit.
        targets: by name of their stream; given by the toolkit.
        stream: the target whose tokens it predicts.
        hidden: width between the layers.
        kernel: video frames of the convolution; odd.
    """

    def __init__(
        self, in_dim: int, targets: dict[str, Any], stream: str = "tokens", hidden: Width = 64, kernel: Kernel = 5
    ) -> None:
        super().__init__()
        self.outputs = (stream,)
        self.conv = MaskedConv1d(in_dim, hidden, kernel, padding=kernel // 2)
        self.linear = nn.Linear(hidden, targets[stream].tokenizer.size + 1)

    def forward(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Features (B,T,in_dim), valid video frames (B,T) -> name of the stream: logits (B,T,V+1)."""
        logits = self.linear(nn.functional.silu(self.conv(x, mask)))
        return {self.outputs[0]: zero_padding(logits, mask)}
