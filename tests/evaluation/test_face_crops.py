"""Crops of faces: SyncNet's margins, smoothing, and frames without a face."""

import math

import numpy as np
import pytest

from tests.cases.clips import frame_times, write_clip
from v2skit.evaluation.face_crops import BORDER, face_boxes, read_face_crops
from v2skit.evaluation.metrics import MetricError
from v2skit.tracking.tracker import MouthPose


class Poses:
    """A tracker with one pose for each frame."""

    def __init__(self, *poses):
        self.poses = poses

    def start(self, video, fps):
        self.left = list(self.poses)

    def update(self, frame):
        return self.left.pop(0)

    def finish(self):
        pass


def test_the_box_is_above_the_mouth_along_the_head_and_follows_no_outlier():
    upright, lying = MouthPose(100, 80, 20), MouthPose(100, 80, 20, roll=math.pi / 2)
    assert np.allclose(face_boxes([upright]), [[100, 80 - 16, 30]])
    assert np.allclose(face_boxes([lying]), [[116, 80, 30]])
    boxes = face_boxes([*[upright] * 9, MouthPose(500, 500, 90), *[upright] * 9])
    assert np.allclose(boxes, [[100, 64, 30]] * 19)


def test_frames_without_a_face_are_interpolated_and_too_many_are_a_failure():
    poses = [MouthPose(10.0 * n, 80, 20) for n in range(40)]
    lost = [*poses[:15], *[None] * 10, *poses[25:]]
    inner = slice(7, 33)  # the median filter repeats the edges
    assert np.allclose(face_boxes(lost)[inner], face_boxes(poses)[inner])
    with pytest.raises(MetricError, match="no face in 25 of the video's 40 frames"):
        face_boxes([None] * 25 + poses[25:])
    with pytest.raises(MetricError, match="no face in 3 of the video's 3 frames"):
        face_boxes([None] * 3)


def test_a_crop_reaches_from_the_top_of_the_box_to_its_margin_below(tmp_path):
    def scene(_):
        frame = np.full((200, 200, 3), 20, np.uint8)
        frame[44:124, 48:160] = 220  # a box of half side 40 at (104, 84): its crop is 40 up, 72 down, 56 to each side
        frame[84:88, 102:106] = (220, 40, 40)
        return frame

    write_clip(tmp_path / "clip.mp4", scene, frame_times(25, 4 / 25))
    pose = MouthPose(104, 84 + 0.8 * 40 / 1.5, 40 / 1.5)
    crops = read_face_crops(tmp_path / "clip.mp4", Poses(*[pose] * 4), 3)
    assert crops.shape == (3, 224, 224, 3)
    assert crops[0, 4:150, 8:-8].min() > 20 and crops[0, 4:70, 8:-8].min() > 180  # the box begins at the top
    assert crops[0, -50:].max() < 60  # the box ends at 80 of 112 rows
    assert abs(int(crops[0, 84, 112, 0]) - int(crops[0, 84, 112, 1])) > 60  # its centre, 40 of 112 rows below the top
    corner = read_face_crops(tmp_path / "clip.mp4", Poses(*[MouthPose(0, 40 / 1.5 * 0.8, 40 / 1.5)] * 4), 1)[0]
    assert np.abs(corner[:60, :100].astype(int) - BORDER).max() <= 1  # beyond the frame


def test_a_face_outside_of_the_frame_is_a_failure(tmp_path):
    write_clip(tmp_path / "clip.mp4", lambda _: np.zeros((64, 64, 3), np.uint8), frame_times(25, 2 / 25))
    with pytest.raises(MetricError, match="outside of the frame"):
        read_face_crops(tmp_path / "clip.mp4", Poses(*[MouthPose(-5000, 30, 10)] * 2), 2)
