"""Signals for metrics: that of the contract checks, and noise."""

from __future__ import annotations

import numpy as np

from v2skit.testing.signals import RATE, babble

__all__ = ["RATE", "babble", "white"]


def white(like: np.ndarray, level: float = 0.1, seed: int = 1) -> np.ndarray:
    """White noise as long as ``like``."""
    return level * np.random.default_rng(seed).standard_normal(len(like))
