"""Dynamic time warping (Sakoe and Chiba 1978) with the steps (1,0), (0,1) and (1,1), all of weight 1."""

from __future__ import annotations

import numpy as np


def warping_path(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The path from the first pair to the last whose sum of distances is smallest; diagonal steps win ties.

    Args:
        distances: (R,H) of each pair of frames, finite.

    Returns:
        row and column of each pair of the path, (P,) both.
    """
    rows, columns = distances.shape
    # One diagonal after the other: the pairs of a diagonal depend on the two before it alone. Entry i + 1 is row i.
    before, last = (np.full(rows + 1, np.inf) for _ in range(2))
    before[0] = 0.0
    steps = np.zeros((rows, columns), np.int8)  # 0: from (i - 1, j - 1), 1: from (i - 1, j), 2: from (i, j - 1)
    for diagonal in range(rows + columns - 1):
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        ways = np.stack([before[i], last[i], last[i + 1]])
        best = ways.argmin(0)
        steps[i, diagonal - i] = best
        current = np.full(rows + 1, np.inf)
        current[i + 1] = ways[best, np.arange(len(i))] + distances[i, diagonal - i]
        before, last = last, current
    path = [(rows - 1, columns - 1)]
    while path[-1] != (0, 0):
        row, column = path[-1]
        step = steps[row, column]
        path.append((row - (step != 2), column - (step != 1)))
    found = np.array(path[::-1])
    return found[:, 0], found[:, 1]
