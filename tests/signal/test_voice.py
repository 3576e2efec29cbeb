"""Another voice: pitch and formants move, each by its factor, words stay in their place."""

import numpy as np
import pytest
from scipy.signal import lfilter

from v2skit.signal.voice import median_f0, shift_voice

RATE = 24000
SECONDS = 2


@pytest.fixture(autouse=True)
def praat():
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")


def vowel(pitch: float, formant: float) -> np.ndarray:
    """Pulses at a pitch through a resonance, Hz."""
    pulses = np.zeros(SECONDS * RATE)
    pulses[:: round(RATE / pitch)] = 1
    pole = 0.97 * np.exp(2j * np.pi * formant / RATE)
    return 0.02 * lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], pulses).astype(np.float32)


def resonance(waveform: np.ndarray) -> float:
    """The maximum of the smoothed spectrum, Hz."""
    spectrum = np.abs(np.fft.rfft(waveform[RATE // 4 : -RATE // 4].astype(np.float64), 2 * RATE)) ** 2
    return np.convolve(spectrum, np.hanning(600), "same").argmax() / 2


@pytest.mark.parametrize("pitch", [0.6, 1.0, 1.5])
@pytest.mark.parametrize("formants", [0.8, 1.0, 1.25])
def test_pitch_and_formants_are_shifted_each_by_its_factor(pitch, formants):
    sound = vowel(120, 1500)
    shifted = shift_voice(sound, pitch, formants, RATE)
    assert abs(median_f0([shifted], RATE) / (120 * pitch) - 1) < 0.01
    assert abs(resonance(shifted) / resonance(sound) / formants - 1) < 0.08  # half the distance of harmonics


@pytest.mark.parametrize(("pitch", "formants"), [(0.6, 0.9), (1.5, 1.1), (2.0, 1.19)])
def test_the_length_and_the_places_of_sounds_stay(pitch, formants):
    places, envelope = np.arange(0.2, 1.9, 0.3), np.zeros(SECONDS * RATE, np.float32)
    for place in places:
        start = int(place * RATE)
        envelope[start - 1200 : start + 1200] = np.hanning(2400)
    sound = envelope * vowel(150, 1500)
    shifted = shift_voice(sound, pitch, formants, RATE)
    assert shifted.shape == sound.shape and shifted.dtype == np.float32
    for place in places:
        around = slice(int((place - 0.1) * RATE), int((place + 0.1) * RATE))
        before, after = (x[around].astype(np.float64) ** 2 for x in (sound, shifted))
        seconds = np.arange(len(before)) / RATE
        assert abs((after * seconds).sum() / after.sum() - (before * seconds).sum() / before.sum()) < 0.003


def test_what_is_not_voiced_is_unchanged_and_has_no_median():
    noise = np.random.default_rng(0).normal(0, 0.2, RATE).astype(np.float32)
    for sound in (noise, np.zeros(RATE, np.float32), np.zeros(0, np.float32)):
        assert median_f0([sound], RATE) is None and np.array_equal(shift_voice(sound, 1.5, 1.1, RATE), sound)
    assert median_f0([], RATE) is None


def test_the_median_is_over_the_voiced_frames_of_all_waveforms():
    low, high = vowel(100, 1500), vowel(200, 1500)
    assert median_f0([low, np.zeros(4 * RATE, np.float32), high[: RATE // 2]], RATE) == pytest.approx(100, rel=0.01)
    assert median_f0([low[: RATE // 2], high], RATE) == pytest.approx(200, rel=0.01)


@pytest.mark.parametrize("length", [480, 1200, 1501])
def test_clips_below_an_analysis_window_have_their_length(length):
    sound = vowel(120, 1500)[:length]
    shifted = shift_voice(sound, 1.5, 1.1, RATE)
    assert shifted.shape == (length,) and np.isfinite(shifted).all() and shifted.any()
    assert not np.array_equal(shifted, sound)


def test_what_is_too_loud_is_clipped():
    sound = 50 * vowel(120, 1500)
    assert np.abs(sound).max() > 2 and np.abs(shift_voice(sound, 0.8, 0.95, RATE)).max() == 1
