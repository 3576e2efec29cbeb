"""Presentation times are repaired, and any frame rate is resampled to a constant one."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from tests.media_files import every, make_video, real_data, shown_times
from v2skit.media.container import probe
from v2skit.media.timestamps import presentation_times, resample_frames
from v2skit.media.video import read_video


@pytest.mark.parametrize("rate", [10, 23, 25, 30, 50, 60])
def test_another_frame_rate_keeps_duration_and_times(tmp_path, rate):
    path = make_video(tmp_path / "clip.mp4", every(rate, 2.0), fps=rate)
    frames = list(read_video(path, 25))
    assert len(frames) == 50 and frames[0].shape == (48, 64, 3) and frames[0].dtype == np.uint8
    assert np.abs(shown_times(frames) - np.arange(50) / 25).max() <= 0.5 / rate + 0.015
    assert probe(path).fps == pytest.approx(rate, rel=0.01)


def test_a_variable_frame_rate_is_resampled_by_time(tmp_path):
    times = np.concatenate([np.arange(20) / 20, 1 + np.arange(40) / 40, 2 + np.arange(10) / 10])
    frames = list(read_video(make_video(tmp_path / "clip.mkv", times), 25))
    assert abs(len(frames) - 75) <= 2
    assert np.abs(shown_times(frames) - np.arange(len(frames)) / 25).max() <= 0.05 + 0.015


@pytest.mark.parametrize("count", [1, 2, 7, 61, 100])
@pytest.mark.parametrize("rate", [12, 25, 30, 50, 120])
def test_length_is_the_duration_rounded(count, rate):
    times = ((Fraction(n, rate) + 3, Fraction(1, rate), n) for n in range(count))
    shown = list(resample_frames(times, 25))
    assert len(shown) == max(1, round(Fraction(count * 25, rate)))
    assert all(abs(Fraction(n, rate) - Fraction(t, 25)) <= Fraction(1, 2 * rate) for t, n in enumerate(shown[:-1]))


def repaired(times: list[int | None]) -> list[int]:
    """Presentation times, ms, of frames of 40 ms whose file states ``times``."""
    stream = SimpleNamespace(time_base=Fraction(1, 1000), average_rate=Fraction(25))
    frames = [SimpleNamespace(pts=time, duration=40) for time in times]
    return [round(time * 1000) for time, _, _ in presentation_times(frames, stream)]


def test_wrong_and_missing_times_are_repaired():
    right = list(range(500, 1300, 40))
    assert repaired(right) == right
    assert repaired([None] * 3) == [0, 40, 80]
    assert repaired([500, None, 580, None, None, 700]) == [500, 540, 580, 620, 660, 700]
    assert repaired([500, 540, 780, None, 660, 700, 740, 780]) == right[:8]  # 780 occurs twice: the first is wrong
    assert repaired([500, 540, 540, None, 660]) == right[:5]
    assert repaired([500, 540, 900, 940]) == [500, 540, 900, 940]  # a gap: no later time contradicts it


def test_real_clips_with_wrong_times_have_every_frame_once():
    for name in ("brag1a", "sban5a", "pbai7a"):
        assert len(list(read_video(real_data("grid/s1") / f"{name}.mpg", 25))) == 75
