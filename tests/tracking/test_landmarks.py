"""Landmarks of other programs, in every layout, give the crop boxes that a tracker gives."""

import math
import pickle

import numpy as np
import pytest

from tests.media_files import every, make_video
from v2skit.config.features import Crop
from v2skit.errors import UserError
from v2skit.media.video import read_video
from v2skit.tracking.crop import cut_mouth
from v2skit.tracking.landmarks import Landmarks

EYES = {
    5: ([0], [1]),
    68: (range(36, 42), range(42, 48)),
    468: ([33, 133], [362, 263]),
    478: ([33, 133], [362, 263]),
}
MOUTH = {5: [3, 4], 68: [48, 54], 468: [61, 291], 478: [61, 291]}


def points(count: int, x: float, y: float, eyes: float, roll: float = 0.0, frames: int = 1) -> np.ndarray:
    """(frames, count, 2): NaN but for the eyes, whose centres are ``eyes`` apart, and for the mouth below them."""
    face = np.full((count, 2), np.nan)
    along = np.array([math.cos(roll), math.sin(roll)])
    for group, side in zip(EYES[count], (-1, 1), strict=True):
        centre = np.array([x, y]) - eyes * np.array([-along[1], along[0]]) + side * eyes / 2 * along
        spread = np.linspace(-0.1, 0.1, len(group)) * eyes if len(group) > 1 else np.zeros(1)
        face[list(group)] = centre + spread[:, None] * along
    face[MOUTH[count]] = np.array([x, y]) + np.array([[-0.3], [0.3]]) * eyes * along
    return np.repeat(face[None], frames, 0)


@pytest.fixture
def video(tmp_path):
    return make_video(tmp_path / "clip.mkv", every(25, 0.4), (96, 64))


def started(video, rows: np.ndarray, fps: int = 25, folder: str = "") -> Landmarks:
    np.save(video.with_suffix(".npy"), rows)
    tracker = Landmarks(folder)
    tracker.start(video, fps)
    return tracker


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [5, 68, 468, 478])
def test_every_layout_has_eyes_and_mouth(video, count, dtype):
    tracker = started(video, points(count, 50.5, 40.25, 20, 0.2).astype(dtype))
    mouth = tracker.update(None)
    assert (mouth.x, mouth.y) == pytest.approx((50.5, 40.25), abs=1e-4)
    # iBUG's eyes are the means of their corners, which are no farther apart than all their points.
    assert mouth.eye_distance == pytest.approx(20, rel=0.01) and mouth.roll == pytest.approx(0.2, abs=1e-4)
    assert mouth.side is None


def test_depth_is_passed_over_and_whole_numbers_are_taken(video):
    flat = points(5, 50, 40, 20)[..., :2]
    deep = np.concatenate([np.nan_to_num(flat), np.full((1, 5, 1), 9.0)], -1).astype(np.int32)
    mouth = started(video, deep).update(None)
    assert (mouth.x, mouth.y, mouth.eye_distance) == (50, 40, 20)


@pytest.mark.parametrize("point", [0, 1, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_without_a_face(video, point, value):
    rows = points(5, 50, 40, 20, frames=3)
    rows[1, point, 0] = value
    tracker = started(video, rows)
    assert [tracker.update(None) is None for _ in range(3)] == [False, True, False]


def test_through_a_video_with_another_rate_than_the_clock(tmp_path):
    video = make_video(tmp_path / "clip.mkv", every(50, 0.4), (96, 64), fps=50)
    rows = np.concatenate([points(68, 30 + t, 32, 10) for t in range(20)])
    np.save(tmp_path / "clip.npy", rows)
    crops, track = cut_mouth(read_video(video, 25), Landmarks(), Crop(size=16, smoothing_seconds=0), 25, video)
    assert crops.shape == (10, 16, 16)
    assert track.boxes[:, 0] == pytest.approx(30 + 2 * np.arange(10), abs=1e-4)
    np.save(tmp_path / "clip.npy", rows[::4])
    with pytest.raises(UserError, match="end after 5 frames, the video is longer"):
        cut_mouth(read_video(video, 25), Landmarks(), Crop(), 25, video)


def test_files_in_another_folder_and_a_new_video(video, tmp_path):
    other = tmp_path / "landmarks"
    other.mkdir()
    np.save(other / "clip.npy", points(68, 50, 40, 20))
    np.save(video.with_suffix(".npy"), points(68, 10, 40, 20))
    tracker = Landmarks(str(other))
    for _ in range(2):  # the second video begins at its first row
        tracker.start(video, 25)
        assert tracker.update(None).x == pytest.approx(50)
    assert Landmarks().folder == ""
    beside = Landmarks()
    beside.start(video, 25)
    assert beside.update(None).x == pytest.approx(10)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((3, 67, 2)), np.zeros((3, 68)), np.zeros((3, 68, 4)), np.zeros((68, 2)), np.zeros((3, 68, 2), bool),
        np.zeros((3, 68, 2), complex), np.zeros((0, 68, 2)),
    ],
    ids=str,
)  # fmt: skip
def test_other_shapes_are_refused(video, rows):
    with pytest.raises(UserError, match=r"clip\.npy"):
        started(video, rows).update(np.zeros((64, 96, 3), np.uint8))


def test_what_is_no_array_is_refused(video, tmp_path):
    file = video.with_suffix(".npy")
    tracker = Landmarks()
    with pytest.raises(UserError, match=r"clip\.npy can't be read.*numpy\.save"):
        tracker.start(video, 25)
    with pytest.raises(UserError, match="needs a video file"):
        tracker.start(None, 25)
    np.savez(tmp_path / "two.npz", a=np.zeros(2), b=np.zeros(2))
    contents = {
        "pickled": pickle.dumps({"points": 1}), "text": b"no array", "empty": b"",
        "archive": (tmp_path / "two.npz").read_bytes(),
    }  # fmt: skip
    for content in contents.values():
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"clip\.npy"):
            tracker.start(video, 25)
    with pytest.raises(UserError, match="can't be read"):
        started(video, np.array([{"points": 1}], object))
