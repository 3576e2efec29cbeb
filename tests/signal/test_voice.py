"""Another voice: pitch and formants move, words stay in their place."""

import numpy as np
import pytest
from scipy.signal import lfilter

from v2skit.signal.voice import shift_voice

RATE = 24000
SECONDS = 2


def vowel(pitch: float, formant: float) -> np.ndarray:
    """Pulses at a pitch through a resonance, Hz."""
    pulses = np.zeros(SECONDS * RATE)
    pulses[:: round(RATE / pitch)] = 1
    pole = 0.97 * np.exp(2j * np.pi * formant / RATE)
    return 0.02 * lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], pulses).astype(np.float32)


def peaks(waveform: np.ndarray) -> tuple[float, float]:
    """Pitch and formant, Hz: of the autocorrelation, and of the smoothed spectrum."""
    inner = waveform[RATE // 4 : -RATE // 4].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(inner, 2 * RATE)) ** 2
    lags = np.fft.irfft(np.abs(np.fft.rfft(inner, 4 * RATE)) ** 2)[RATE // 400 : RATE // 90]
    smooth = np.convolve(spectrum, np.hanning(600), "same")
    return RATE / (RATE // 400 + int(lags.argmax())), smooth.argmax() / 2


@pytest.mark.parametrize("factor", [0.85, 1.18])
def test_pitch_and_formants_are_shifted_by_the_factor(factor):
    sound = vowel(120, 1500)
    (pitch, formant), (low, high) = peaks(sound), peaks(shift_voice(sound, factor, RATE))
    assert abs(low / pitch / factor - 1) < 0.02 and abs(high / formant / factor - 1) < 0.05


@pytest.mark.parametrize("factor", [0.85, 1.18])
def test_the_length_and_the_places_of_sounds_stay(factor):
    sound, places = np.zeros(SECONDS * RATE, np.float32), np.arange(0.2, 1.9, 0.3)
    for place in places:
        start = int(place * RATE)
        sound[start - 240 : start + 240] = np.random.default_rng(0).normal(0, 0.2, 480)
    out = shift_voice(sound, factor, RATE)
    assert out.shape == sound.shape and out.dtype == np.float32
    for place in places:
        around = out[int((place - 0.1) * RATE) : int((place + 0.1) * RATE)].astype(np.float64) ** 2
        assert abs((around * np.arange(len(around))).sum() / around.sum() / RATE - 0.1) < 0.012


def test_a_factor_of_one_changes_nothing_and_short_clips_have_their_length():
    sound = vowel(120, 1500)
    assert np.array_equal(shift_voice(sound, 1.0, RATE), sound)
    assert shift_voice(sound[:100], 1.18, RATE).shape == (100,) and shift_voice(sound[:0], 1.18, RATE).shape == (0,)
    assert np.abs(shift_voice(50 * sound, 0.85, RATE)).max() <= 1
