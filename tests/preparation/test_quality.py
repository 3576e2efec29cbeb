"""Length, level, clipping and silence, and what is left out for them."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from v2skit.config.prepare import Filters
from v2skit.errors import UserError
from v2skit.preparation.quality import measure_audio, rejects

RATE = 24000


def voice(seconds: float, loudness: float = 0.2, seed: int = 0) -> np.ndarray:
    """Noise with the ups and downs of syllables."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(0, 1, len(time))
    return (loudness * noise * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time)) / 3).clip(-1, 1).astype(np.float32)


def test_level_and_length():
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE * 2) / RATE).astype(np.float32)
    found = measure_audio(tone, RATE)
    assert found["seconds"] == 2 and found["rms_dbfs"] == pytest.approx(-9.03, abs=0.01)
    assert found["silence_share"] == 0


@pytest.mark.parametrize("share", [0.25, 0.5])
@pytest.mark.parametrize("floor", [0, 1e-3])
def test_the_share_of_silence(share, floor):
    audio = voice(4.0)
    audio[: int(share * len(audio))] *= floor
    assert measure_audio(audio, RATE)["silence_share"] == pytest.approx(share, abs=0.02)
    assert measure_audio(voice(4.0), RATE)["silence_share"] < 0.02


@pytest.mark.parametrize("ceiling_share", [0.002, 0.01, 0.05])
def test_samples_at_a_ceiling_are_clipped_wherever_it_is(ceiling_share):
    audio = voice(4.0)
    ceiling = np.quantile(np.abs(audio), 1 - ceiling_share)
    found = measure_audio(audio.clip(-ceiling, ceiling), RATE)["clipped_share"]
    assert found == pytest.approx(ceiling_share, rel=0.25)


@pytest.mark.parametrize("scale", [0.7, 1.0])
def test_clipping_is_found_after_resampling(scale):
    """From 8 kHz, after which the samples at the ceiling are no longer equal, and some are beyond it."""
    audio = voice(4.0)[::3]
    ceiling = np.quantile(np.abs(audio), 0.98)
    clipped, clean = (scale * resample_poly(s, 3, 1) for s in (audio.clip(-ceiling, ceiling), audio))
    assert np.abs(clipped).max() > 1.05 * scale * ceiling
    assert 0.002 < measure_audio(clipped, RATE)["clipped_share"] < 0.02
    assert measure_audio(clean, RATE)["clipped_share"] < 0.0005


def test_tiny_sounds_can_be_measured():
    for count in (1, 10, 479):
        assert np.isfinite(list(measure_audio(np.full(count, 0.1, np.float32), RATE).values())).all()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({}, None),
        ({"min_seconds": 2.0, "max_seconds": 2.0, "min_rms_dbfs": -20.0}, None),
        ({"min_seconds": 2.1}, "shorter than 2.1 s"),
        ({"max_seconds": 1.9}, "longer than 1.9 s"),
        ({"max_clipped_share": 0.001}, "more than 0.10% of the samples clipped"),
        ({"max_silence_share": 0.25}, "more than 25% silence"),
        ({"min_rms_dbfs": -19}, "below -19 dBFS"),
    ],
)
def test_what_is_left_out(limits, reason):
    measures = {"seconds": 2.0, "rms_dbfs": -20.0, "clipped_share": 0.002, "silence_share": 0.3}
    assert rejects(Filters(**limits), measures) == reason


def test_limits_are_checked():
    for wrong in ({"min_seconds": -1}, {"max_silence_share": 2}, {"min_rms_dbfs": 3}):
        with pytest.raises(UserError, match="must lie in"):
            Filters(**wrong)
    with pytest.raises(UserError, match="min_seconds 2 is above max_seconds 1"):
        Filters(min_seconds=2, max_seconds=1)
