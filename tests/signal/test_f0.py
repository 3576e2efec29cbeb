"""F0 of signals whose F0 is known."""

import sys

import numpy as np
import pytest

from v2skit.errors import UserError
from v2skit.signal.f0 import F0Extractor

RATE, HOP = 24000, 240


@pytest.fixture(autouse=True)
def praat():
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")


def buzz(hz, harmonics=20):
    """Harmonics of a contour (N,) in Hz, as loud as each other."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    return sum(np.sin(k * phase) for k in range(1, harmonics + 1)).astype(np.float32) / harmonics


def cents(f0, reference):
    return 1200 * np.abs(np.log2(f0 / reference))


@pytest.mark.parametrize("hz", [80, 200, 210, 450])
def test_a_constant_pitch_is_found_in_every_frame(hz):
    f0 = F0Extractor()(buzz(np.full(RATE, hz)), RATE, HOP)
    assert f0.shape == (100,) and f0.dtype == np.float32
    assert cents(f0, hz).max() < 5


def test_a_glide_is_followed_at_the_centres_of_hops():
    hz = np.linspace(100, 200, 2 * RATE)
    f0 = F0Extractor()(buzz(hz), RATE, HOP)
    assert cents(f0, hz[HOP // 2 :: HOP])[3:-3].max() < 5  # half a hop off would be 5.5 to 11 cents


def test_pauses_and_noise_are_unvoiced_and_onsets_are_where_they_are():
    seconds = np.arange(2 * RATE) / RATE
    random = np.random.default_rng(0)
    voiced = (seconds > 0.5) & (seconds < 1.0)
    fricative = 0.1 * random.standard_normal(len(seconds)) * (seconds > 1.3)
    f0 = F0Extractor()((buzz(np.full(len(seconds), 150)) * voiced + fricative).astype(np.float32), RATE, HOP)
    reference = voiced[HOP // 2 :: HOP]
    assert np.count_nonzero((f0 > 0) != reference) <= 6
    assert cents(f0[52:98], 150).max() < 5


@pytest.mark.parametrize(
    "waveform", [np.zeros(RATE), np.full(RATE, 0.3), np.zeros(0), np.zeros(HOP - 1), np.zeros(HOP)]
)
def test_silence_of_any_length_is_unvoiced(waveform):
    f0 = F0Extractor()(waveform.astype(np.float32), RATE, HOP)
    assert f0.shape == (len(waveform) // HOP,) and not f0.any()


@pytest.mark.parametrize(
    ("frames", "hop", "floor"), [(1, 240, 60), (2, 200, 75), (7, 160, 61.7), (30, 241, 50), (9, 2000, 60)]
)
def test_there_is_one_frame_for_each_hop_at_any_setting(frames, hop, floor):
    waveform = buzz(np.full(frames * hop + hop // 2, 200))
    assert F0Extractor(floor_hz=floor)(waveform, RATE, hop).shape == (frames,)


@pytest.mark.parametrize("limits", [{"floor_hz": 500.0}, {"floor_hz": 0.0}, {"ceiling_hz": 1e6}])
def test_an_impossible_range_is_an_error(limits):
    with pytest.raises(UserError, match="floor_hz|ceiling_hz"):
        F0Extractor(**limits)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(UserError, match=r"F0 needs .*parselmouth.*pip install 'v2skit\[f0\]'"):
        F0Extractor()(np.zeros(RATE), RATE, HOP)
