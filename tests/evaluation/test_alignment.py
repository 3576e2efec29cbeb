"""The lag of a hypothesis, and scores of the shifted one."""

import numpy as np
import pytest

from tests.evaluation.signals import RATE, babble, white
from v2skit.evaluation.alignment import MAX_LAG_MS, find_lag, measurable_lag
from v2skit.evaluation.metrics import MetricError
from v2skit.signal.delay import delayed


@pytest.mark.parametrize("milliseconds", [-80, -21.5, -3, 0, 1.5, 40, 93])
@pytest.mark.parametrize("rate", [RATE, 16000])
def test_a_known_lag_is_found(milliseconds, rate):
    reference = babble(2.0)[:: RATE // 8000].repeat(rate // 8000)
    samples = round(milliseconds * rate / 1000)
    hypothesis = 0.3 * delayed(reference, samples) + white(reference, 0.002)
    assert find_lag(reference, hypothesis, rate) == pytest.approx(samples, abs=0.0007 * rate)


def test_the_lag_is_limited_and_that_of_silence_is_0():
    reference = babble(2.0)
    assert abs(find_lag(reference, delayed(reference, RATE // 2), RATE)) <= MAX_LAG_MS * RATE // 1000
    assert find_lag(reference, 0 * reference, RATE) == 0
    for samples in (100, 300):  # less than a hop, than a window
        assert find_lag(reference[:samples], reference[:samples], RATE) == 0
    with pytest.raises(MetricError, match="equally long"):
        find_lag(reference, reference[1:], RATE)
    with pytest.raises(MetricError, match="silent"):
        find_lag(0 * reference, reference, RATE)


def test_a_lag_that_is_no_maximum_is_none():
    reference = babble(2.0)
    late, early = (delayed(reference, round(seconds * RATE)) for seconds in (0.11, -0.11))
    for hypothesis in (0 * reference, 0 * reference + 0.1, late, early):
        assert measurable_lag(reference, hypothesis, RATE) is None
    for truth in (0 * reference, 0 * reference + 0.1):
        assert measurable_lag(truth, reference, RATE) is None
    assert find_lag(0 * reference + 0.1, reference, RATE) == find_lag(reference, 0 * reference + 0.1, RATE) == 0
    for samples in (100, 300):
        assert measurable_lag(reference[:samples], reference[:samples], RATE) is None
    assert measurable_lag(reference, delayed(reference, 240), RATE) == pytest.approx(240, abs=10)
    assert measurable_lag(reference, reference, RATE) == 0


def test_noise_has_some_lag_within_the_limit():
    reference = babble(1.0)
    assert np.abs([find_lag(reference, white(reference, seed=n), RATE) for n in range(4)]).max() <= RATE // 10
