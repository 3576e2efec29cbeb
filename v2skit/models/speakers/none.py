"""No speaker embedding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from v2skit.errors import UserError


def _nothing(utterance: str, speaker: str) -> np.ndarray:
    return np.zeros(0, np.float32)


class NoSpeaker(nn.Module):
    """The model has no speaker embedding: S is 0."""

    out_dim = 0
    reference = "none"

    def prepare(self, directory: Path) -> None:
        """Nothing to prepare."""

    def reader(self, directory: Path) -> Callable[[str, str], np.ndarray]:
        """(utterance id, speaker) -> an empty vector."""
        return _nothing

    def voice(self, name: str | None) -> np.ndarray:
        """An empty vector. Raises UserError where a voice is named."""
        if name is not None:
            raise UserError("this model has no speaker embedding; leave --voice out")
        return np.zeros(0, np.float32)

    def forward(self, speaker: Tensor) -> Tensor:
        """(B,0) -> (B,0)."""
        return speaker
