"""Self-attention that knows how far apart two frames are (Transformer-XL, Dai et al. 2019, section 3.3)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positions(frames: int, dim: int, like: Tensor) -> Tensor:
    """Sinusoids of the distances ``frames - 1`` down to ``1 - frames``, of the type and device of ``like``.

    Returns:
        (2 T - 1, dim): the sines, then the cosines, of ``distance / 10000 ** (2 i / dim)``.
    """
    distance = torch.arange(frames - 1, -frames, -1.0, device=like.device)
    rate = torch.exp(torch.arange(0, dim, 2.0, device=like.device) * (-math.log(10000) / dim))
    angle = distance[:, None] * rate
    return torch.cat((angle.sin(), angle.cos()), dim=1).to(like.dtype)


def shift_to_keys(scores: Tensor) -> Tensor:
    """From one column a distance to one column a key: (..., T, 2 T - 1) -> (..., T, T).

    Row ``i``, column ``j`` of the result is the score of distance ``i - j``. With one column put before the first, a
    row is 2 T long, and reading the same memory in rows of 2 T - 1 moves each row by one more than the row above it.
    """
    *batch, frames, distances = scores.shape
    scores = F.pad(scores, (1, 0)).view(*batch, distances + 1, frames)[..., 1:, :]
    return scores.reshape(*batch, frames, distances)[..., :frames]


def out_of_reach(frames: int, back: int, ahead: int, device: torch.device) -> Tensor:
    """(T, T): in row ``i``, True but for the columns ``i - back`` to ``i + ahead``."""
    every = torch.ones(frames, frames, dtype=torch.bool, device=device)
    return every.triu(ahead + 1) | every.tril(-back - 1)


class RelativeAttention(nn.Module):
    """Multi-head self-attention with relative positions.

    Args:
        dim: features in and out, a multiple of ``heads``.
        heads: attention heads.
        dropout: of the attention weights.
        reach: frames back and ahead that a frame attends to; None: all.
    """

    def __init__(self, dim: int, heads: int, dropout: float, reach: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.heads, self.dropout, self.reach = heads, dropout, reach
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.position = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.content_bias = nn.Parameter(torch.zeros(heads, 1, dim // heads))
        self.position_bias = nn.Parameter(torch.zeros(heads, 1, dim // heads))

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Attend to the valid frames within reach.

        Args:
            x: (B, T, dim).
            positions: (2 T - 1, dim), from :func:`relative_positions`.
            mask: (B, T).

        Returns:
            (B, T, dim); what it holds where the mask is False means nothing.
        """
        query, key, value = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        position = self._split(self.position(positions))  # (heads, 2 T - 1, dim / heads)
        distance_scores = (query + self.position_bias) @ position.transpose(-2, -1) / math.sqrt(query.shape[-1])
        bias = shift_to_keys(distance_scores)  # (B, heads, T, T)
        hidden = ~mask[:, None, None]
        if self.reach:
            hidden = hidden | out_of_reach(x.shape[1], *self.reach, x.device)
        # The least number and not -inf: a frame that attends to none must not bring NaN into the batch's gradient.
        bias = bias.masked_fill(hidden, torch.finfo(bias.dtype).min)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention((query + self.content_bias).to(value.dtype), key, value, bias, dropout)
        return self.out(y.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(..., T, dim) -> (..., heads, T, dim / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)
