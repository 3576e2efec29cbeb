"""The face mesh on real faces, and what it says without one."""

from itertools import pairwise

import numpy as np
import pytest

from tests.media_files import real_data
from v2skit.errors import UserError
from v2skit.media.video import read_video

pytest.importorskip("mediapipe")

from v2skit.tracking.mediapipe import MediaPipe

pytestmark = pytest.mark.filterwarnings("ignore:SymbolDatabase.GetPrototype")  # pytest sets the module's filter aside


@pytest.fixture(scope="module")
def tracker() -> MediaPipe:
    return MediaPipe()


def test_the_mouth_is_below_and_between_the_eyes(tracker):
    for path in sorted(real_data("grid_others").glob("*.mpg"))[:3]:
        tracker.start(None, 25)
        mouths = [tracker.update(frame) for frame in read_video(path, 25)]
        assert all(mouths), path
        assert all(abs(m.roll) < 0.35 and 35 < m.eye_distance < 90 for m in mouths)
        assert all(120 < m.x < 240 and 150 < m.y < 270 for m in mouths)
        assert max(abs(a.x - b.x) + abs(a.y - b.y) for a, b in pairwise(mouths)) < 8


def test_a_video_is_tracked_alike_whatever_came_before(tracker):
    clips = sorted(real_data("grid_others").glob("*.mpg"))[:2]
    frames = [[f for f, _ in zip(read_video(path, 25), range(10))] for path in clips]

    def track(number):
        tracker.start(None, 25)
        return [tracker.update(frame) for frame in frames[number]]

    first = track(0)
    track(1)
    assert track(0) == first


def test_no_face_is_none_and_nothing_is_logged(tracker, capfd):
    tracker.start(None, 25)
    for _ in range(3):
        assert tracker.update(np.full((240, 320, 3), 127, np.uint8)) is None
    MediaPipe(min_confidence=0.7)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("wrong", [0.0, 1.5])
def test_a_confidence_out_of_range_is_refused(wrong):
    with pytest.raises(UserError, match="0..1"):
        MediaPipe(min_confidence=wrong)


def test_a_missed_frame_of_one_of_two_faces_costs_that_frame_alone():
    """While the followed face is lost, the only other face is not followed instead."""
    clips = [list(read_video(path, 25)) for path in sorted(real_data("grid_others").glob("*.mpg"))[:4:3]]
    frames = [np.concatenate(pair, 1) for pair in zip(*clips)]
    for face in (1, 2):
        tracker = MediaPipe(face=face)
        tracker.start(None, 25)
        found = [tracker.update(frame) for frame in frames[:25]]
        side = slice(None, 360) if found[-1].x < 360 else slice(360, None)
        away = frames[25].copy()
        away[:, side] = 90
        found += [tracker.update(frame) for frame in (away, *frames[26:45])]
        assert [number for number, mouth in enumerate(found) if mouth is None] == [25]
        assert len({mouth.x < 360 for mouth in found if mouth}) == 1
