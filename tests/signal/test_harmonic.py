"""Additive synthesis at contours whose waveform is known."""

import math

import numpy as np
import pytest
import torch

from v2skit.signal.harmonic import additive_synthesis

RATE, HOP, FRAMES = 24000, 240, 50


def synthesise(f0, voiced=None, harmonics=1, amplitudes=None, hop=HOP):
    f0 = torch.as_tensor(f0, dtype=torch.float32)[None]
    voiced = torch.ones_like(f0, dtype=torch.bool) if voiced is None else torch.as_tensor(voiced)[None]
    amplitudes = torch.ones(1, f0.shape[1], harmonics) if amplitudes is None else amplitudes
    return additive_synthesis(f0, voiced, amplitudes, hop, RATE)[0]


def spectrum(waveform):
    """Amplitudes of sines, one for each Hz, of a second."""
    return np.abs(np.fft.rfft(waveform[:RATE].numpy() * np.hanning(RATE))) / RATE * 4


@pytest.mark.parametrize("hop", [240, 241, 200])
def test_a_constant_pitch_is_a_sine_of_its_amplitude(hop):
    waveform = synthesise(np.full(120, 440.0), amplitudes=torch.full((1, 120, 1), 0.3), hop=hop)
    time = (
        torch.arange(120 * hop, dtype=torch.float64) + hop - hop // 2
    )  # the phase is 0 one hop before the first centre
    torch.testing.assert_close(waveform, (0.3 * (2 * math.pi * 440 / RATE * time).sin()).float(), atol=1e-4, rtol=0)


def test_each_harmonic_has_its_amplitude():
    waveform = synthesise(np.full(100, 300.0), amplitudes=torch.tensor([0.5, 0.0, 0.25]).expand(1, 100, 3))
    found = spectrum(waveform)
    assert found[[300, 900]] == pytest.approx([0.5, 0.25], rel=1e-3)
    assert np.delete(found, [*range(297, 304), *range(897, 904)]).max() < 1e-3


def test_harmonics_above_half_the_sample_rate_are_muted():
    found = spectrum(synthesise(np.full(100, 5000.0), harmonics=10))
    peaks = [hz for hz in range(2, len(found) - 2) if found[hz] > 1e-2 and found[hz] == found[hz - 2 : hz + 3].max()]
    assert peaks == [5000, 10000]  # 15 to 50 kHz would be heard at 9, 4, 1, 6, ... kHz
    jump = synthesise([*[500.0] * 50, *[2000.0] * 50], harmonics=20)
    hz = np.interp(np.arange(100 * HOP), np.arange(100) * HOP + HOP // 2, [*[500.0] * 50, *[2000.0] * 50])
    partials = [synthesise([*[500.0 * k] * 50, *[2000.0 * k] * 50]) for k in range(1, 7) if (hz * k).max() < RATE / 2]
    torch.testing.assert_close(jump[51 * HOP :], sum(partials)[51 * HOP :], atol=1e-3, rtol=0)


def test_the_frequency_of_a_glide_is_the_contour():
    f0 = np.linspace(100, 400, FRAMES)
    waveform = synthesise(f0).double()
    centres = np.arange(FRAMES) * HOP + HOP // 2
    hz = np.interp(np.arange(FRAMES * HOP), centres, f0)
    phase = 2 * np.pi * np.concatenate([[0], np.cumsum((hz[1:] + hz[:-1]) / 2)]) / RATE
    offset = 2 * np.pi * 100 * (HOP - HOP // 2) / RATE
    torch.testing.assert_close(waveform, torch.from_numpy(np.sin(phase + offset)), atol=1e-3, rtol=0)


def test_unvoiced_frames_are_silent_and_voiced_runs_begin_and_end_at_zero():
    voiced = np.zeros(FRAMES, bool)
    voiced[10:20] = voiced[30:40] = True
    waveform = synthesise(np.full(FRAMES, 200.0), voiced, harmonics=5)
    centre = torch.arange(FRAMES) * HOP + HOP // 2
    for first, last in ((0, 9), (20, 29), (40, 49)):
        assert not waveform[centre[first] : centre[last]].any()
    assert waveform[centre[10] : centre[19]].abs().max() > 1
    assert waveform.diff().abs().max() < 1.0  # of 5 harmonics of 200 Hz; a run that began anywhere would jump


def test_a_part_has_the_waveform_of_the_whole_from_its_first_unvoiced_frame_on():
    random = np.random.default_rng(0)
    f0, voiced = random.uniform(80, 300, 3000), np.arange(3000) % 40 > 5
    whole = synthesise(f0, voiced, harmonics=20)
    part = synthesise(f0[1007:1100], voiced[1007:1100], harmonics=20)
    unvoiced = 40 - 1007 % 40
    got, want = part[unvoiced * HOP + HOP : -HOP], whole[(1007 + unvoiced) * HOP + HOP : 1099 * HOP]
    torch.testing.assert_close(got, want, atol=1e-4, rtol=0)
    assert (part[:HOP] - whole[1007 * HOP : 1008 * HOP]).abs().max() > 0.1  # within a run, it differs


def test_ten_minutes_keep_their_phase():
    frames = 60_000
    f0, voiced = torch.full((1, frames), 123.4), torch.zeros(1, frames, dtype=torch.bool)
    voiced[:, -100:] = True
    late = additive_synthesis(f0, voiced, torch.ones(1, frames, 10), HOP, RATE)
    early = additive_synthesis(f0[:, -110:], voiced[:, -110:], torch.ones(1, 110, 10), HOP, RATE)
    torch.testing.assert_close(late[:, -110 * HOP :], early, atol=1e-4, rtol=0)


def test_amplitudes_get_gradients_and_f0_gets_none():
    f0, amplitudes = torch.full((1, 8), 200.0, requires_grad=True), torch.ones(1, 8, 3, requires_grad=True)
    voiced = torch.tensor([[False, True, True, True, True, True, False, False]])
    additive_synthesis(f0, voiced, amplitudes, HOP, RATE).square().sum().backward()
    assert f0.grad is None and (amplitudes.grad[:, 1:6] > 0).all() and not amplitudes.grad[:, [0, 6, 7]].any()
