"""WSOLA: another length, the same pitch, and what is heard stays in its place."""

import numpy as np
import pytest

from v2skit.signal.tempo import TOLERANCE_SECONDS, change_tempo

RATE = 24000


def frequency(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 8 * RATE))
    return float(spectrum.argmax() / 8)


@pytest.mark.parametrize("tempo", [0.8, 0.9, 1.1, 1.25])
def test_the_length_changes_and_the_pitch_does_not(tempo):
    length = round(1.5 * RATE / tempo)
    hum = (0.3 * np.sin(2 * np.pi * 150 * np.arange(int(1.5 * RATE)) / RATE)).astype(np.float32)
    out = change_tempo(hum, length, RATE)
    assert out.shape == (length,) and out.dtype == np.float32
    assert abs(frequency(out) - 150) < 0.3
    inner = out[RATE // 10 : -RATE // 10]
    assert abs(np.abs(inner).max() - 0.3) < 0.01 and abs(inner.std() - hum.std()) < 0.01  # windows in phase


@pytest.mark.parametrize("tempo", [0.9, 1.1])
def test_what_is_heard_keeps_its_place_on_the_new_axis(tempo):
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.001, 2 * RATE)
    places = np.arange(0.2, 1.9, 0.25)
    for place in places:
        start = int(place * RATE)
        noise[start - 240 : start + 240] += random.normal(0, 0.3, 480)  # a burst of 20 ms
    out = change_tempo(noise.astype(np.float32), round(len(noise) / tempo), RATE)
    for place in places / tempo:
        around = np.abs(out[int((place - 0.1) * RATE) : int((place + 0.1) * RATE)])
        centre = (around**2 * np.arange(len(around))).sum() / (around**2).sum() / RATE - 0.1
        assert abs(centre) < TOLERANCE_SECONDS + 0.003


def test_of_the_same_length_it_is_the_same_waveform():
    waveform = np.random.default_rng(0).normal(0, 0.1, 5000).astype(np.float32)
    assert np.array_equal(change_tempo(waveform, 5000, RATE), waveform)
    # One sample longer: every window continues the one before it.
    assert np.abs(change_tempo(waveform, 5001, RATE)[:5000] - waveform).max() < 1e-6


def test_waveforms_shorter_than_a_window_and_silence_are_changed_as_well():
    assert np.isfinite(change_tempo(np.ones(100, np.float32), 90, RATE)).all()
    assert not change_tempo(np.zeros(24000, np.float32), 26000, RATE).any()
