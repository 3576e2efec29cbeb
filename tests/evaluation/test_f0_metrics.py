"""Errors of F0 and of voicing at signals whose F0 is known."""

import math

import numpy as np
import pytest

from tests.evaluation.signals import RATE, white
from v2skit.errors import UserError
from v2skit.evaluation.f0 import F0Rmse, VoicingError
from v2skit.evaluation.metrics import MetricError


@pytest.fixture(autouse=True)
def praat():
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")


def tone(hz, seconds=1.0):
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def half(sound):
    """The first half of it, then silence."""
    return np.where(np.arange(len(sound)) < len(sound) // 2, sound, 0)


@pytest.mark.parametrize(("hz", "rate"), [(210, RATE), (190, RATE), (100, RATE), (210, 16000)])
def test_the_rmse_of_two_tones_is_their_interval_in_cents(hz, rate):
    score = F0Rmse()(tone(200), tone(hz), rate)  # another rate moves both by the same interval
    assert score["f0_rmse"] == pytest.approx(1200 * abs(math.log2(hz / 200)), abs=1)


def test_the_square_of_the_rmse_is_a_mean_over_frames():
    changing = np.concatenate([tone(200, 1), tone(220, 1)])
    semitones = 1200 * math.log2(1.1)
    assert F0Rmse()(tone(200, 2), changing, RATE)["f0_rmse"] == pytest.approx(semitones / math.sqrt(2), rel=0.03)


def test_more_than_an_octave_counts_as_one():
    assert F0Rmse()(tone(100), tone(400), RATE)["f0_rmse"] == pytest.approx(1200)


@pytest.mark.parametrize("hypothesis", [0 * tone(200), white(tone(200))])
def test_speech_without_voice_scores_the_worst(hypothesis):
    assert F0Rmse()(tone(200), hypothesis, RATE)["f0_rmse"] == 1200
    assert VoicingError()(tone(200), hypothesis, RATE)["voicing_error"] > 0.9


def test_frames_voiced_in_one_only_are_errors_of_voicing_and_not_of_f0():
    assert F0Rmse()(tone(200), half(tone(200)), RATE)["f0_rmse"] < 10
    for pair in ((tone(200), half(tone(200))), (half(tone(200)), tone(200))):
        assert VoicingError()(*pair, RATE)["voicing_error"] == pytest.approx(0.5, abs=0.03)


def test_a_reference_without_voice_has_no_f0_but_errors_of_voicing():
    with pytest.raises(MetricError, match="no voiced frame"):
        F0Rmse()(white(tone(200)), tone(200), RATE)
    assert VoicingError()(white(tone(200)), 0 * tone(200), RATE)["voicing_error"] < 0.1


def test_a_clip_of_less_than_a_frame_is_refused():
    for metric in (F0Rmse(), VoicingError()):
        with pytest.raises(MetricError, match="shorter than one frame"):
            metric(tone(200)[:100], tone(200)[:100], RATE)


def test_an_empty_range_is_refused():
    with pytest.raises(UserError, match="floor_hz 300 must be below ceiling_hz 200"):
        F0Rmse(floor_hz=300, ceiling_hz=200)
