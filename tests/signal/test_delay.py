"""Delayed waveforms."""

import numpy as np
import pytest

from v2skit.signal.delay import delayed


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(0, [1, 2, 3]), (1, [0, 1, 2]), (-1, [2, 3, 0]), (3, [0, 0, 0]), (-3, [0, 0, 0]), (7, [0, 0, 0]), (-7, [0, 0, 0])],
)
def test_a_delay_keeps_the_length(samples, expected):
    waveform = np.array([1, 2, 3], np.float32)
    found = delayed(waveform, samples)
    assert found.dtype == waveform.dtype
    np.testing.assert_array_equal(found, expected)
