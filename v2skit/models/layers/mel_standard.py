"""Standardisation of a log mel, bin by bin."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MelStandard(nn.Module):
    """Log mel (..., M) -> (mel - mean) / deviation of each bin, (..., M).

    At the start of a run, all layers of this class in its losses are set to the statistics of the training clips, by
    :func:`v2skit.training.mel_statistics.fit_standards`, which checkpoints store; until then it changes nothing.

    Args:
        n_mels: M.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("std", torch.ones(n_mels))

    def forward(self, mel: Tensor) -> Tensor:
        """Log mel (..., M) -> standardised (..., M)."""
        return (mel - self.mean) / self.std
