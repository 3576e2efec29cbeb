"""Bidirectional GRU encoder, as in the raw-waveform family (Mira et al. 2022, V2S-WGAN)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from v2skit.config.limits import Depth, Dropout, Width
from v2skit.models.layers.masked import check_features


class BiGru(nn.Module):
    """Bidirectional GRU whose backward direction starts at the last valid frame of each clip; for whole clips only.

    Args:
        in_dim: features a frame; given by the toolkit.
        layers: number of stacked layers.
        dim: features of each direction; ``out_dim`` is twice that.
        dropout: dropout probability between layers.
    """

    left_context_frames = look_ahead_frames = None
    training_arguments = ("dropout",)

    def __init__(self, in_dim: int, layers: Depth = 2, dim: Width = 256, dropout: Dropout = 0.0) -> None:
        super().__init__()
        self.in_dim, self.out_dim = in_dim, 2 * dim
        self.gru = nn.GRU(in_dim, dim, layers, batch_first=True, dropout=dropout, bidirectional=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features with temporal context.

        Args:
            x: (B, T, in_dim).
            mask: (B, T), True for valid frames, at least one in each clip.

        Returns:
            (B, T, out_dim), zero where the mask is False.

        Raises:
            UserError: ``x`` has another shape.
        """
        check_features(x, mask, self.in_dim, "bigru")
        packed = pack_padded_sequence(x, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])[0]
