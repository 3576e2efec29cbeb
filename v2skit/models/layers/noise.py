"""Noise for decoders that sample, the same at each call."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

BLOCK = 64
"""Rows that one generator draws."""


@lru_cache(maxsize=8)
def clip_noise(seed: int, length: int, dim: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal noise of a clip, (length, dim).

    Each block of rows has a generator of its own: the first rows do not depend on ``length``, so that neither padding
    nor the other clips of a batch change the output for a clip. It is drawn on the CPU, so that devices agree.

    Drawn once and not to be modified: an export, which has no generators, has the noise of a call before it.

    Args:
        seed: of the noise.
        length: rows.
        dim: columns.
        device: of the result.
        dtype: of the result.
    """
    blocks = []
    for number in range(-(-length // BLOCK)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        blocks.append(torch.randn(BLOCK, dim, generator=generator))
    noise = torch.cat(blocks)[:length] if blocks else torch.zeros(0, dim)
    return noise.to(device, dtype)


def repeated_noise(seed: int, period: int, length: int, dim: int, device: torch.device) -> Tensor:
    """The noise of :func:`clip_noise` with ``period`` rows, repeated to (length, dim)."""
    return clip_noise(seed, period, dim, device)[torch.arange(length, device=device) % period]
