"""Self-attention with relative positional encoding (Transformer-XL, Dai et al. 2019, section 3.3)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positions(frames: int, dim: int, like: Tensor) -> Tensor:
    """Sinusoidal encoding of the distances ``frames - 1`` down to ``1 - frames``, with dtype and device of ``like``.

    Returns:
        (2 T - 1, dim): the sines, then the cosines, of ``distance / 10000 ** (2 i / dim)``.
    """
    distance = torch.arange(frames - 1, -frames, -1.0, device=like.device)
    rate = torch.exp(torch.arange(0, dim, 2.0, device=like.device) * (-math.log(10000) / dim))
    angle = distance[:, None] * rate
    return torch.cat((angle.sin(), angle.cos()), dim=1).to(like.dtype)


def shift_to_keys(scores: Tensor) -> Tensor:
    """Scores by distance to scores by key (the relative shift): (..., T, 2 T - 1) -> (..., T, T).

    Row ``i``, column ``j`` of the result is the score of distance ``i - j``. With one column padded on the left a row
    has 2 T entries; the same memory viewed in rows of 2 T - 1 shifts each row by one more than the row above it.
    """
    *batch, frames, distances = scores.shape
    scores = F.pad(scores, (1, 0)).view(*batch, distances + 1, frames)[..., 1:, :]
    return scores.reshape(*batch, frames, distances)[..., :frames]


def outside_context(frames: int, left: int, right: int, device: torch.device) -> Tensor:
    """Attention mask (T, T): row ``i`` is False in the columns ``i - left`` to ``i + right``, True elsewhere."""
    every = torch.ones(frames, frames, dtype=torch.bool, device=device)
    return every.triu(right + 1) | every.tril(-left - 1)


class RelativeAttention(nn.Module):
    """Multi-head self-attention with relative positional encoding: (B, T, dim) -> (B, T, dim).

    Args:
        dim: features of input and output, a multiple of ``heads``.
        heads: attention heads.
        dropout: dropout probability of the attention weights.
        context: left and right context in frames; None: the whole clip.
    """

    def __init__(self, dim: int, heads: int, dropout: float, context: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.heads, self.dropout, self.context = heads, dropout, context
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.position = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.content_bias = nn.Parameter(torch.zeros(heads, 1, dim // heads))
        self.position_bias = nn.Parameter(torch.zeros(heads, 1, dim // heads))

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Attend to the valid frames within the context.

        Args:
            x: (B, T, dim).
            positions: (2 T - 1, dim), from :func:`relative_positions`.
            mask: (B, T), True for valid frames.

        Returns:
            (B, T, dim); the values where the mask is False are undefined.
        """
        query, key, value = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        position = self._split(self.position(positions))  # (heads, 2 T - 1, dim / heads)
        distance_scores = (query + self.position_bias) @ position.transpose(-2, -1) / math.sqrt(query.shape[-1])
        bias = shift_to_keys(distance_scores)  # (B, heads, T, T)
        hidden = ~mask[:, None, None]
        if self.context:
            hidden = hidden | outside_context(x.shape[1], *self.context, x.device)
        # The lowest number and not -inf: with all keys masked, -inf would bring NaN into the batch's gradient.
        bias = bias.masked_fill(hidden, torch.finfo(bias.dtype).min)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention((query + self.content_bias).to(value.dtype), key, value, bias, dropout)
        return self.out(y.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(..., T, dim) -> (..., heads, T, dim / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)
