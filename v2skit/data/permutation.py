"""Shuffles that are computed where they are asked for: a bijection of numbers, keyed, without a list of them."""

from __future__ import annotations

import math

import numpy as np

ROUNDS = 6


class Permutation:
    """The numbers 0 to ``count - 1`` in another order, a function of the keys; the same on every machine.

    The numbers stand in a table; in each round the rows, or the columns, are turned by amounts that a hash of their
    place gives (a Feistel network). The table has hardly more places than there are numbers; from a place beyond them
    one goes on to the place that it leads to.

    Args:
        count: of the numbers, at least 1.
        seed, epoch, stream: the keys, each from 0 to below 2**32.
    """

    def __init__(self, count: int, seed: int, epoch: int, stream: int) -> None:
        self.count = count
        rows = math.isqrt(count - 1) + 1
        self._rows, self._columns = np.uint64(rows), np.uint64(-(-count // rows))
        # Always three keys: SeedSequence takes [1] and [1, 0] for the same.
        self._keys = np.random.SeedSequence([seed, epoch, stream]).generate_state(ROUNDS, np.uint64)

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """What stands at places, int64 (N,) -> int64 (N,)."""
        found = self._turned(numbers.astype(np.uint64))
        while (beyond := found >= self.count).any():
            found[beyond] = self._turned(found[beyond])
        return found.astype(np.int64)

    def _turned(self, numbers: np.ndarray) -> np.ndarray:
        row, column = np.divmod(numbers, self._columns)
        for turn, key in enumerate(self._keys):
            if turn % 2:
                row = (row + _hash(column, key)) % self._rows
            else:
                column = (column + _hash(row, key)) % self._columns
        return row * self._columns + column


def _hash(numbers: np.ndarray, key: np.uint64) -> np.ndarray:
    """32 bits that look random, uint64 (N,) (the finaliser of MurmurHash3)."""
    mixed = numbers ^ key
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return mixed >> np.uint64(32)
