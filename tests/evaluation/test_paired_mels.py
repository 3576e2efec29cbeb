"""The band of a reference: spectra are compared only where the corpus has some."""

import numpy as np
import pytest
from scipy import signal

from tests.evaluation.signals import RATE, babble, white
from v2skit.evaluation.mcd import Mcd, McdDtw
from v2skit.evaluation.paired_mels import bandwidth


def band(sound, low, high):
    """The part of a waveform between two frequencies, Hz."""
    spectrum, hz = np.fft.rfft(sound), np.fft.rfftfreq(len(sound), 1 / RATE)
    return np.fft.irfft(np.where((hz >= low) & (hz < high), spectrum, 0), len(sound))


@pytest.mark.parametrize("rate, edge", [(8000, 4000), (11025, 5512.5), (16000, 8000), (22050, 11025), (24000, 12000)])
def test_the_band_of_speech_that_was_recorded_at_another_rate(rate, edge):
    sound = signal.resample(white(np.empty(2 * rate)), 2 * RATE)
    sound = np.round(sound * 32767) / 32767  # as a file of 16 bits has it
    assert bandwidth(sound, RATE) == edge
    assert bandwidth(0.03 * sound, RATE) == edge


def test_background_noise_of_a_recording_is_part_of_its_band():
    narrow = band(white(np.empty(RATE)), 0, 4000)
    assert bandwidth(narrow, RATE) == 4000
    assert bandwidth(narrow + white(narrow, level=1e-4), RATE) == RATE / 2


@pytest.mark.parametrize("metric", [Mcd, McdDtw])
def test_inaudible_noise_where_the_reference_has_nothing_does_not_count(metric):
    reference = band(babble(), 0, 8000) + band(white(babble(), 1e-3), 0, 8000)
    hypothesis = reference + band(white(reference, 1e-4), 8000, 12000)  # -80 dBFS
    (old,) = metric(max_hz=12000)(reference, hypothesis, RATE).values()
    (new,) = metric()(reference, hypothesis, RATE).values()
    assert old > 1 and new < 0.01
    (fixed,) = metric(max_hz=8000)(reference, hypothesis, RATE).values()
    assert fixed == new


def test_a_full_band_has_all_bins():
    noise, other = white(np.empty(RATE)), white(np.empty(RATE), seed=2)
    assert Mcd()(noise, other, RATE) == Mcd(max_hz=12000)(noise, other, RATE)
