"""Pseudo-random permutations that are evaluated one place at a time."""

from __future__ import annotations

import math

import numpy as np

ROUNDS = 6


class Permutation:
    """A permutation of 0 to ``count - 1`` as a function of the keys; the same on every machine.

    A Feistel network (format-preserving encryption) on a table of rows and columns: each round shifts the columns by a
    hash of the row, or the rows by a hash of the column. The table has slightly more places than ``count``; a result
    beyond ``count`` is permuted again (cycle walking).

    Not ``numpy.random.Generator.permutation``, whose order differs from that of existing runs: for 3 M utterances it
    takes 0.09 s and 24 MB in each process and epoch, this class 0.00004 s for a batch of 50, and no memory.

    Args:
        count: at least 1.
        seed, epoch, stream: the keys, each from 0 to below 2**32.
    """

    def __init__(self, count: int, seed: int, epoch: int, stream: int) -> None:
        self.count = count
        rows = math.isqrt(count - 1) + 1
        self._rows, self._columns = np.uint64(rows), np.uint64(-(-count // rows))
        # Always three keys: SeedSequence does not distinguish [1] and [1, 0].
        self._keys = np.random.SeedSequence([seed, epoch, stream]).generate_state(ROUNDS, np.uint64)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """The numbers at places, int64 (N,) -> int64 (N,)."""
        numbers = self._permute_table(places.astype(np.uint64))
        while (beyond := numbers >= self.count).any():
            numbers[beyond] = self._permute_table(numbers[beyond])
        return numbers.astype(np.int64)

    def _permute_table(self, places: np.ndarray) -> np.ndarray:
        row, column = np.divmod(places, self._columns)
        for number, key in enumerate(self._keys):
            if number % 2:
                row = (row + _hash(column, key)) % self._rows
            else:
                column = (column + _hash(row, key)) % self._columns
        return row * self._columns + column


def _hash(numbers: np.ndarray, key: np.uint64) -> np.ndarray:
    """32 pseudo-random bits, uint64 (N,) (the finaliser of MurmurHash3)."""
    mixed = numbers ^ key
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return mixed >> np.uint64(32)
