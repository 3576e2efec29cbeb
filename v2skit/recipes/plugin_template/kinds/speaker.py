"""A speaker embedding."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from v2skit.config.limits import Width
from v2skit.errors import UserError


def _row(rows: dict[str, int], utterance: str, speaker: str) -> np.ndarray:
    return np.array(rows.get(speaker, 0), np.int64)


class MyComponent(nn.Module):
    """A learned embedding for each speaker of the training data, and one for all others.

    Args:
        speakers: names of the speakers of the training data; given by the toolkit.
        dim: size S of the embeddings.
    """

    reference = "name of the talker"

    def __init__(self, speakers: list[str], dim: Width = 16) -> None:
        super().__init__()
        self.out_dim = dim
        self.rows = {name: row for row, name in enumerate(speakers, 1)}
        self.table = nn.Embedding(len(speakers) + 1, dim)

    def prepare(self, directory: Path) -> None:
        """Nothing to prepare: the names are in the data directory."""

    def reader(self, directory: Path) -> Callable[[str, str], np.ndarray]:
        """(utterance id, speaker) -> row, 0 for a speaker who is not in the table."""
        return partial(_row, self.rows)

    def voice(self, name: str | None) -> np.ndarray:
        """The row of a speaker, 0 where none is named. Raises UserError for an unknown one."""
        if name is not None and name not in self.rows:
            raise UserError(f"the model has no voice '{name}'; it has {', '.join(self.rows)}")
        return np.array(self.rows.get(name or "", 0), np.int64)

    def forward(self, speaker: Tensor) -> Tensor:
        """(B,) rows -> (B,S)."""
        return self.table(speaker)
