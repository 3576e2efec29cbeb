"""Dynamic time warping against all paths and against librosa."""

import numpy as np
import pytest

from v2skit.evaluation.warping import warping_path


def cheapest(distances):
    """The smallest sum over all paths, by the recursion."""
    total = np.full(np.add(distances.shape, 1), np.inf)
    total[0, 0] = 0
    for i, j in np.ndindex(distances.shape):
        total[i + 1, j + 1] = distances[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total[-1, -1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 1), (7, 7), (12, 5), (4, 13)])
def test_the_path_is_whole_and_the_cheapest(shape):
    distances = np.random.default_rng(0).random(shape)
    rows, columns = warping_path(distances)
    assert (rows[0], columns[0]) == (0, 0) and (rows[-1], columns[-1]) == (shape[0] - 1, shape[1] - 1)
    steps = set(zip(np.diff(rows).tolist(), np.diff(columns).tolist(), strict=True))
    assert steps <= {(0, 1), (1, 0), (1, 1)}
    assert distances[rows, columns].sum() == pytest.approx(cheapest(distances))


def test_the_path_is_that_of_librosa():
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    distances = np.random.default_rng(1).random((60, 45))
    total, path = librosa.sequence.dtw(C=distances)
    rows, columns = warping_path(distances)
    assert distances[rows, columns].sum() == pytest.approx(total[-1, -1])
    assert np.array_equal(path[::-1], np.stack([rows, columns], axis=1))
