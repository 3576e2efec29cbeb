"""The utterances of several data directories in order of length, from an index of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Runs(NamedTuple):
    """Utterances sorted by length, in runs of equal length.

    Args:
        order: utterance numbers, shortest utterance first (N,).
        lengths: of the runs, rising, video frames (R,).
        firsts: place in ``order`` where each run begins (R,).
    """

    order: np.ndarray
    lengths: np.ndarray
    firsts: np.ndarray


def runs_of(lengths: np.ndarray) -> Runs:
    """Sort utterances by their lengths (N,), stably."""
    order = np.argsort(lengths, kind="stable").astype(np.int32)
    return Runs(order, *np.unique(lengths[order], return_index=True))


class ByLength:
    """Utterances of several sets, numbered consecutively, in order of length; the sets' orders are not copied.

    Args:
        parts: the sets.
        longest: limit of the lengths, as training on segments has it; None: no limit.
    """

    def __init__(self, parts: Sequence[Runs], longest: int | None = None) -> None:
        self._orders = [part.order for part in parts]
        self._offsets = np.cumsum([0, *map(len, self._orders)])
        part = np.repeat(np.arange(len(parts)), [len(p.firsts) for p in parts])
        lengths, ranks = (np.concatenate([getattr(p, name) for p in parts]) for name in ("lengths", "firsts"))
        counts = np.concatenate([np.diff(p.firsts, append=len(p.order)) for p in parts])
        runs = np.argsort(lengths, kind="stable")
        self.lengths = np.minimum(lengths[runs], longest) if longest else lengths[runs]
        self.firsts = np.cumsum(counts[runs]) - counts[runs]
        self._parts, self._ranks = part[runs], ranks[runs]

    def __len__(self) -> int:
        return int(self._offsets[-1])

    @property
    def longest(self) -> int:
        """The largest length, video frames."""
        return int(self.lengths[-1])

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """The utterances at places in the order, int64 (N,) -> int64 (N,)."""
        run = np.searchsorted(self.firsts, places, "right") - 1
        part, rank = self._parts[run], self._ranks[run] + places - self.firsts[run]
        found = np.empty(len(places), np.int64)
        for number in np.unique(part):
            here = part == number
            found[here] = self._offsets[number] + self._orders[number][rank[here]]
        return found
