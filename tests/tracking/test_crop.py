"""Stable crops from the poses of a tracker with jitter."""

import math
import tracemalloc

import numpy as np
import pytest

from v2skit.config.features import Crop
from v2skit.errors import UserError
from v2skit.tracking.crop import Track, cut_mouth, mouth_crops
from v2skit.tracking.none import NoTracker
from v2skit.tracking.patch import GRAY
from v2skit.tracking.tracker import MouthPose


class Scripted:
    """A tracker that returns given poses."""

    def __init__(self, answers):
        self.answers = answers

    def start(self, video, fps):
        self.left = iter(self.answers)

    def update(self, frame):
        return next(self.left)

    def finish(self):
        pass


def face(x: float, y: float, eyes: float, roll: float = 0.0, size: tuple[int, int] = (400, 300)) -> np.ndarray:
    """A frame with a bright, wide bar as the mouth; its length is half the distance between the eyes."""
    rows, columns = np.mgrid[: size[1], : size[0]] + 0.5
    along = (columns - x) * math.cos(roll) + (rows - y) * math.sin(roll)
    across = (rows - y) * math.cos(roll) - (columns - x) * math.sin(roll)
    bar = (np.abs(along) < eyes / 4) & (np.abs(across) < eyes / 16)
    return np.repeat(np.where(bar, 220, 40).astype(np.uint8)[..., None], 3, 2)


def bar_of(crop: np.ndarray) -> tuple[float, float, float, float]:
    """Centre x, y, length and height of the bar in a crop, pixels."""
    weight = (crop.astype(float) - 40) / 180
    rows, columns = np.mgrid[: crop.shape[0], : crop.shape[1]] + 0.5
    x, y = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    spread = [math.sqrt(12 * (weight * (v - m) ** 2).sum() / weight.sum()) for v, m in ((columns, x), (rows, y))]
    return x, y, *spread


@pytest.mark.parametrize("roll", [0.0, 0.3, -0.5])
@pytest.mark.parametrize("eyes", [40.0, 64.0, 150.0, 400.0])
def test_crops_are_invariant_to_position_size_and_roll_of_the_face(eyes, roll):
    size = (round(eyes * 5), round(eyes * 4))
    x, y = 0.45 * size[0] + 0.3, 0.55 * size[1]
    frames = [face(x, y, eyes, roll, size)] * 3
    crops, track = cut_mouth(frames, Scripted([MouthPose(x, y, eyes, roll)] * 3), Crop(), 25)
    assert crops.shape == (3, 96, 96) and crops.dtype == np.uint8 and not track.lost.any()
    across, down, length, height = bar_of(crops[1])
    assert abs(across - 48) < 0.7 and abs(down - 48) < 0.7
    assert length == pytest.approx(96 / 1.5 / 2, rel=0.06) and height == pytest.approx(96 / 1.5 / 8, rel=0.25)


def test_jitter_of_the_tracker_is_smoothed_and_scale_is_constant():
    random = np.random.default_rng(1)
    still, count = face(200, 150, 64), 50
    answers = [
        MouthPose(200 + a, 150 + b, 64 * c) for a, b, c in random.normal((0, 0, 1), (1.5, 1.5, 0.05), (count, 3))
    ]
    raw = cut_mouth([still] * count, Scripted(answers), Crop(smoothing_seconds=0), 25)[0]
    smoothed = cut_mouth([still] * count, Scripted(answers), Crop(), 25)[0]
    moves = [np.std([bar_of(c)[0] for c in frames]) for frames in (raw, smoothed)]
    assert moves[1] < 0.6 * moves[0]
    assert np.std([bar_of(c)[2] for c in smoothed]) < 0.15


def test_a_moving_head_is_followed_through_lost_frames():
    centres = [100 + 4 * t for t in range(40)]
    answers = [None if t in (0, 15, 16, 17, 39) else MouthPose(x, 150, 64) for t, x in enumerate(centres)]
    crops, track = cut_mouth([face(x, 150, 64) for x in centres], Scripted(answers), Crop(), 25)
    assert len(crops) == 40 and track.lost.sum() == 5 and track.lost[15]
    assert all(abs(bar_of(c)[0] - 48) < 1 for c in crops[6:-6])


def test_a_mouth_at_the_border_of_the_frame_and_a_face_out_of_it():
    answers = [MouthPose(2, 299, 64), MouthPose(-30, 320, 64), MouthPose(5, 290, 64)]
    crops, _ = cut_mouth([face(2, 299, 64)] * 3, Scripted(answers), Crop(), 25)
    assert crops.shape == (3, 96, 96)


def test_crops_stay_as_they_are_without_a_tracker():
    frames = np.random.default_rng(1).integers(0, 256, (4, 96, 96), np.uint8)
    crops, _ = cut_mouth([np.repeat(f[..., None], 3, 2) for f in frames], NoTracker(), Crop(), 25)
    assert (crops == frames).all()


@pytest.mark.parametrize("size", [(16, 16), (300, 200), (96, 128)])
def test_other_sizes_are_resized(size):
    frames = [np.full((*size, 3), 90, np.uint8)] * 2
    crops, _ = cut_mouth(frames, NoTracker(), Crop(size=64), 25)
    assert crops.shape == (2, 64, 64) and (crops == 90).all()


def test_a_lost_face_is_an_error():
    frame = face(200, 150, 64)
    with pytest.raises(UserError, match="no face in 30% of the frames"):
        cut_mouth([frame] * 10, Scripted([None] * 3 + [MouthPose(200, 150, 64)] * 7), Crop(), 25)
    with pytest.raises(UserError, match="no face in 100%"):
        cut_mouth([frame] * 2, Scripted([None] * 2), Crop(max_lost_share=1), 25)
    with pytest.raises(UserError, match="no frames"):
        cut_mouth([], NoTracker(), Crop(), 25)


@pytest.mark.parametrize(
    ("name", "value"), [("size", 95), ("eye_distances", 0), ("smoothing_seconds", -1), ("max_lost_share", 2)]
)
def test_impossible_settings_are_refused(name, value):
    with pytest.raises(UserError, match=f"{name}.*{value}"):
        Crop(**{name: value})


def scripted_crops(answers, frames, **settings):
    return list(mouth_crops(frames, Scripted(answers), Crop(**settings), 25))


def test_crops_are_gray_in_long_gaps():
    here, frame = MouthPose(200, 150, 64), face(200, 150, 64)
    crops = scripted_crops([here] * 5 + [None] * 13 + [here] * 5 + [None] * 12 + [here] * 2, [frame] * 37)
    assert [t for t, c in enumerate(crops) if c.box.silent] == list(range(5, 18))
    assert all((c.picture == GRAY).all() for c in crops[5:18])
    assert all((c.picture == crops[0].picture).all() for c in crops[18:])


def test_frames_before_the_first_face_are_cropped_where_it_will_be():
    """Up to half a second, also from frames so large that they are kept reduced."""
    for scale in (1, 4):
        frame = face(200 * scale, 150 * scale, 64 * scale, size=(400 * scale, 300 * scale))
        here = MouthPose(200 * scale, 150 * scale, 64 * scale)
        crops = scripted_crops([None] * 4 + [here] * 4, [frame] * 8)
        early, later = (bar_of(c.picture) for c in (crops[0], crops[-1]))
        assert early[:2] == pytest.approx(later[:2], abs=1) and early[2] == pytest.approx(later[2], rel=0.08)


@pytest.mark.parametrize("look_ahead", [0, 2, 250])
def test_a_crop_has_no_more_than_its_look_ahead(look_ahead):
    """A crop's pixels are of its frame only, and its box depends on the poses up to the look-ahead."""
    random = np.random.default_rng(2)
    centres = [(200 + 3 * t, 150 - t) for t in range(30)]
    answers = [None if t in (9, 10) else MouthPose(*random.normal(p, 2), 64) for t, p in enumerate(centres)]
    frames = [face(x, y, 64) for x, y in centres]
    fed = []

    def feed(frames):
        for frame in frames:
            fed.append(1)
            yield frame

    settings = Crop(look_ahead_frames=look_ahead)
    whole = []
    for crop in mouth_crops(feed(frames), Scripted(answers), settings, 25):
        assert len(fed) == min(len(whole) + 1 + look_ahead, 30)
        whole.append(crop.picture)
    for cut in (5, 10, 20):
        changed = answers[:cut] + [MouthPose(60, 250, 90)] * (30 - cut)
        part = mouth_crops(frames[:cut] + [frames[0]] * (30 - cut), Scripted(changed), settings, 25)
        for number in range(max(0, cut - look_ahead)):
            assert (next(part).picture == whole[number]).all()


def test_memory_is_that_of_the_patches():
    """Of 400 large frames only patches are in memory."""
    frame = face(640, 400, 64, size=(1280, 720))
    tracemalloc.start()
    try:
        crops = mouth_crops((frame for _ in range(400)), Scripted([MouthPose(640, 400, 64)] * 400), Crop(), 25)
        assert sum(1 for _ in crops) == 400
        assert tracemalloc.get_traced_memory()[1] < 16e6  # 250 such frames are 690 MB, whole and gray 25 MB
    finally:
        tracemalloc.stop()


def test_a_face_that_turns_away_for_a_moment_is_cut_at_its_size():
    """Its eye distance is smaller then, but the side of the crop is the median, and the patch contains all of it."""
    frame = np.random.default_rng(0).integers(0, 256, (30, 40, 1), np.uint8).repeat(10, 0).repeat(10, 1).repeat(3, 2)
    answers = [MouthPose(200, 150, 25 if 20 <= t < 25 else 64) for t in range(50)]
    crops = scripted_crops(answers, [frame] * 50)
    assert all((c.picture == crops[0].picture).all() for c in crops)


def test_a_track_has_the_boxes_of_all_frames():
    here, frame = MouthPose(200, 150, 64), face(200, 150, 64)
    track = Track.of([c.box for c in scripted_crops([here] * 3 + [None] * 20 + [here], [frame] * 24)], 25)
    assert track.boxes.shape == (24, 4) and track.boxes.dtype == np.float32
    assert track.lost.sum() == track.silent.sum() == 20 and np.isnan(track.boxes[track.silent]).all()
    assert track.boxes[0] == pytest.approx([200, 150, 96, 0])
    assert Track.of([], 25).boxes.shape == (0, 4)
