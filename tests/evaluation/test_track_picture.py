"""Plots of the track of the mouth crop: lost and silent segments are shaded."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.image import imread

from v2skit.errors import UserError
from v2skit.evaluation.track_picture import track_picture
from v2skit.tracking.crop import Track


def track(frames: int, lost: slice = slice(0), silent: slice = slice(0)) -> Track:
    place = np.tile(np.array([180, 150, 90, 0.1], np.float32), (frames, 1))
    masks = np.zeros((2, frames), bool)
    masks[0, lost] = masks[1, silent] = True
    place[masks[1]] = np.nan
    return Track(25, place, masks[0] | masks[1], masks[1])


def shades(path) -> list[float]:
    """Gray between the lines, where nothing but shades is drawn, from left to right; without repetitions."""
    gray = imread(path)[70, 75:770, :3].mean(1)
    steady = [round(float(v), 2) for v, w in pairwise(gray) if v == w]
    return [v for v, before in zip(steady, [None, *steady]) if v != before]


def test_spans_without_a_face_are_shaded_and_silent_ones_darker(tmp_path):
    path = tmp_path / "new folder" / "track.png"
    track_picture(path, track(100, slice(20, 30), slice(60, 80)))
    assert imread(path).shape == (210, 800, 4)
    assert shades(path) == [1.0, 0.85, 1.0, 0.65, 1.0]


def test_a_face_in_every_frame_has_no_shades_and_none_at_all_is_all_shade(tmp_path):
    track_picture(tmp_path / "all.png", track(50))
    track_picture(tmp_path / "none.png", track(50, silent=slice(0, 50)))
    assert shades(tmp_path / "all.png") == [1.0]
    assert shades(tmp_path / "none.png") == [0.65]


def test_a_track_without_frames_can_not_be_drawn(tmp_path):
    with pytest.raises(UserError, match="without frames"):
        track_picture(tmp_path / "track.png", track(0))
    assert not (tmp_path / "track.png").exists()
