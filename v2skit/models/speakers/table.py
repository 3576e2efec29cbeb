"""A learned embedding for each speaker of the training data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from v2skit.config.limits import Width
from v2skit.errors import UserError, suggestion


def _row(rows: dict[str, int], utterance: str, speaker: str) -> np.ndarray:
    return np.array(rows.get(speaker, 0), np.int64)


class SpeakerTable(nn.Module):
    """A learned embedding for each speaker of the training data; other speakers have the mean of these.

    Args:
        speakers: names of the speakers of the training data; given by the toolkit.
        dim: size S of the embeddings.
    """

    reference = "name of the talker"
    default_voice = "mean of its voices"

    def __init__(self, speakers: list[str], dim: Width = 32) -> None:
        super().__init__()
        self.out_dim = dim
        self.rows = {name: row for row, name in enumerate(speakers, 1)}
        self.table = nn.Embedding(len(speakers), dim)

    @property
    def voices(self) -> list[str]:
        """The names that :meth:`voice` accepts."""
        return list(self.rows)

    def prepare(self, directory: Path) -> None:
        """Nothing to prepare: the names are in the data directory."""

    def reader(self, directory: Path) -> Callable[[str, str], np.ndarray]:
        """(utterance id, speaker) -> row, 0 for a speaker who is not in the table."""
        return partial(_row, self.rows)

    def voice(self, name: str | None) -> np.ndarray:
        """The row of a speaker, 0 for the mean of all where none is named. Raises UserError for an unknown one."""
        if name is not None and name not in self.rows:
            raise UserError(f"the model has no voice '{name}'{suggestion(name, self.rows)}")
        return np.array(0 if name is None else self.rows[name], np.int64)

    def forward(self, speaker: Tensor) -> Tensor:
        """(B,) rows -> (B,S)."""
        mean = self.table.weight.mean(0, keepdim=True)
        return torch.cat([mean, self.table.weight])[speaker]
