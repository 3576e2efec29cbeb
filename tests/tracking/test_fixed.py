"""Crops are of the constant box, and a box outside the frame is refused."""

import numpy as np
import pytest

from tests.media_files import every, make_video
from v2skit.config.features import Crop
from v2skit.config.load import parse_component
from v2skit.errors import UserError
from v2skit.media.video import read_video
from v2skit.registry.build import build
from v2skit.tracking.crop import cut_mouth
from v2skit.tracking.fixed import Fixed


def test_the_square_is_cut_pixel_by_pixel():
    frames = np.random.default_rng(1).integers(0, 256, (3, 120, 160, 1), np.uint8).repeat(3, 3)
    crops, track = cut_mouth(frames, Fixed(80, 60, 64), Crop(size=64), 25)
    assert (crops == frames[:, 28:92, 48:112, 0]).all()
    assert not track.lost.any() and (track.boxes == [80, 60, 64, 0]).all()


def test_a_video_through_the_box(tmp_path):
    video = make_video(tmp_path / "clip.mkv", every(25, 0.4), (96, 64), corner=True)  # white above 32, left of 48
    crops, _ = cut_mouth(read_video(video, 25), Fixed(48, 32, 32), Crop(size=32), 25, video)
    assert crops.shape == (10, 32, 32)
    assert (crops[:, :15, :15] > 240).all() and (crops[:, 17:, 17:] < 80).all()


def test_a_box_from_the_command_line():
    tracker = build("tracker", parse_component("tracker", "{type: fixed, x: 40, y: 50, side: 20}", "--tracker"))
    assert tracker.update(np.zeros((100, 100, 3), np.uint8)).x == 40


@pytest.mark.parametrize(("x", "y"), [(160, 60), (80, 120), (-1, 60), (80, -0.5)])
def test_a_box_outside_the_frame_is_refused(x, y):
    with pytest.raises(UserError, match="is outside the frame of 160x120"):
        Fixed(x, y, 64).update(np.zeros((120, 160, 3), np.uint8))


@pytest.mark.parametrize("side", [0, -3])
def test_a_side_must_be_positive(side):
    with pytest.raises(UserError, match=f"side {side} must be positive"):
        Fixed(10, 10, side)
