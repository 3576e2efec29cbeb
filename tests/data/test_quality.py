"""Length, level, clipping and silence, and what is left out for them."""

import numpy as np
import pytest

from v2skit.data.quality import measure_sound, rejects
from v2skit.errors import UserError
from v2skit.settings import Filters

RATE = 24000


def voice(seconds: float, loudness: float = 0.2, seed: int = 0) -> np.ndarray:
    """Noise with the ups and downs of syllables."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(0, 1, len(time))
    return (loudness * noise * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time)) / 3).clip(-1, 1).astype(np.float32)


def test_level_and_length():
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE * 2) / RATE).astype(np.float32)
    found = measure_sound(tone, RATE)
    assert found["seconds"] == 2 and found["rms_dbfs"] == pytest.approx(-9.03, abs=0.01)
    assert found["clipped_share"] == 0 and found["silence_share"] == 0


@pytest.mark.parametrize("share", [0.25, 0.5])
@pytest.mark.parametrize("floor", [0, 1e-3])
def test_the_share_of_silence(share, floor):
    sound = voice(4.0)
    sound[: int(share * len(sound))] *= floor
    assert measure_sound(sound, RATE)["silence_share"] == pytest.approx(share, abs=0.02)
    assert measure_sound(voice(4.0), RATE)["silence_share"] < 0.02


@pytest.mark.parametrize("ceiling", [1.0, 0.7])
def test_flat_tops_are_clipped_wherever_they_are(ceiling):
    loud = 3 * np.sin(2 * np.pi * 150 * np.arange(RATE) / RATE).clip(-1, 1).astype(np.float32)
    share = (np.abs(loud) >= ceiling).mean()
    found = measure_sound(loud.clip(-ceiling, ceiling), RATE)["clipped_share"]
    assert found == pytest.approx(share, abs=0.01) and share > 0.5
    for clean in (voice(2.0, 0.9), 0.99 * np.sin(2 * np.pi * 150 * np.arange(RATE) / RATE).astype(np.float32)):
        assert measure_sound(clean, RATE)["clipped_share"] == 0


def test_tiny_sounds_can_be_measured():
    for count in (1, 10, 479):
        assert np.isfinite(list(measure_sound(np.full(count, 0.1, np.float32), RATE).values())).all()


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
