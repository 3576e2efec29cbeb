"""Log-spectral distance at signals whose distance is known."""

import numpy as np
import pytest

from tests.evaluation.signals import RATE, babble, white
from v2skit.errors import UserError
from v2skit.evaluation.lsd import Lsd
from v2skit.evaluation.metrics import MetricError


def lsd(reference, hypothesis, **arguments):
    return Lsd(**arguments)(reference, hypothesis, RATE)["lsd"]


def test_a_gain_is_its_decibels():
    noise = white(np.empty(RATE))
    assert lsd(noise, noise) == 0
    assert lsd(noise, 0.5 * noise) == pytest.approx(20 * np.log10(2), abs=0.05)
    assert lsd(noise, 10 * noise) == pytest.approx(20, abs=0.05)


def test_a_gain_of_half_the_band_is_a_root_mean_square():
    noise = white(np.empty(2 * RATE))
    spectrum = np.fft.rfft(noise)
    spectrum[len(spectrum) // 2 :] *= 0.1
    assert lsd(noise, np.fft.irfft(spectrum)) == pytest.approx(20 * np.sqrt(0.5), rel=0.02)
    assert lsd(noise, np.fft.irfft(spectrum), max_hz=5900) < 0.1


def test_a_silent_hypothesis_scores_the_whole_range_more_than_noise():
    sound = babble()
    assert lsd(sound, 0 * sound) == 80 > lsd(sound, white(sound)) > lsd(sound, sound + 0.01 * white(sound)) > 0


def test_bad_input_is_refused():
    with pytest.raises(MetricError, match="shorter than one window"):
        lsd(babble()[:1000], babble()[:1000])
    with pytest.raises(MetricError, match="not finite"):
        lsd(babble(), np.full(len(babble()), np.nan))
    for arguments in ({"range_db": 0.0}, {"max_hz": 10.0}):
        with pytest.raises(UserError, match="range_db .* must be more than 0"):
            Lsd(**arguments)
