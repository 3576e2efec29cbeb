"""Crop boxes equal those of an offline computation over the whole clip, with no more delay than the look-ahead."""

import math

import numpy as np
import pytest

from v2skit.tracking.smoothing import MAX_GAP_SECONDS, SCALE_SECONDS, CropBox, CropBoxSmoother
from v2skit.tracking.tracker import MouthPose

FPS, EYES, SMOOTHING = 25, 1.5, 0.4


def walk(count: int, lost: tuple[int, ...] = (), seed: int = 0, eyes: float = 60.0) -> list[MouthPose | None]:
    """Poses of a moving head from a tracker with jitter; ``lost`` are the frames without a face."""
    random = np.random.default_rng(seed)
    x, y = 200 + random.normal(0, 3, (2, count)).cumsum(1)
    sizes, rolls = eyes * random.uniform(0.9, 1.1, count), random.normal(0, 0.1, count)
    return [None if t in lost else MouthPose(x[t], y[t], sizes[t], rolls[t]) for t in range(count)]


def pushed(
    mouths: list[MouthPose | None], look_ahead: int | None = None, smoothing: float = SMOOTHING
) -> list[list[CropBox]]:
    """The boxes that each push returns, and finish at the end."""
    smoother = CropBoxSmoother(FPS, EYES, smoothing, look_ahead)
    return [*(smoother.push(mouth) for mouth in mouths), smoother.finish()]


def boxes(mouths: list[MouthPose | None], look_ahead: int | None = None, smoothing: float = SMOOTHING) -> list[CropBox]:
    return [box for given in pushed(mouths, look_ahead, smoothing) for box in given]


def table(boxes: list[CropBox]) -> np.ndarray:
    return np.array([(p.x, p.y, p.roll, p.side) for p in boxes])


def offline(mouths: list[MouthPose | None], smoothing: float = SMOOTHING) -> np.ndarray:
    """x, y, roll and side (T,4) of a clip without long losses: interpolated, smoothed with a Hann window that is cut
    off at the clip's ends, and the median side."""
    found = [t for t, mouth in enumerate(mouths) if mouth]
    rows = np.array([(mouths[t].x, mouths[t].y, mouths[t].roll) for t in found])
    rows[:, 2] = np.unwrap(rows[:, 2])
    whole = np.stack([np.interp(np.arange(len(mouths)), found, column) for column in rows.T])
    half = round(smoothing * FPS / 2)
    window = [0.5 + 0.5 * math.cos(math.pi * k / (half + 1)) for k in range(-half, half + 1)]
    smooth = []
    for t in range(len(mouths)):
        around = [(t + k, w) for k, w in zip(range(-half, half + 1), window, strict=True) if 0 <= t + k < len(mouths)]
        smooth.append(sum(w * whole[:, frame] for frame, w in around) / sum(w for _, w in around))
    side = np.median([EYES * mouths[t].eye_distance for t in found])
    return np.column_stack([smooth, np.full(len(mouths), side)])


@pytest.mark.parametrize("smoothing", [0.0, 0.04, 0.4, 1.0])
@pytest.mark.parametrize(
    ("count", "lost"),
    [(1, ()), (2, ()), (5, (0, 4)), (30, (7,)), (75, (0, 1, 2, 30, 31, 40, 73, 74)), (120, (*range(50, 62), 70)),
     (250, (*range(12), *range(100, 112), *range(238, 250)))],
    ids=str,
)  # fmt: skip
def test_boxes_equal_the_offline_computation(count, lost, smoothing):
    mouths = walk(count, lost, count)
    given = boxes(mouths, smoothing=smoothing)
    assert [p.lost for p in given] == [mouth is None for mouth in mouths] and not any(p.silent for p in given)
    assert table(given) == pytest.approx(offline(mouths, smoothing), abs=1e-8)


def test_the_roll_is_continuous_where_its_angle_wraps():
    mouths = [MouthPose(100, 100, 60, math.remainder(math.pi + 0.05 * (t - 10), 2 * math.pi)) for t in range(20)]
    rolls = np.array([p.roll for p in boxes(mouths)])
    assert np.abs(np.array([math.remainder(r - math.pi - 0.05 * (t - 10), 2 * math.pi) for t, r in enumerate(rolls)]))[
        6:-6
    ] == pytest.approx(0, abs=1e-6)


def test_a_side_that_the_tracker_determines_is_used():
    assert [p.side for p in boxes([MouthPose(5, 5, 99.0, side=40)] * 3)] == [40] * 3


def test_long_losses_are_silent_and_short_ones_are_not():
    gap = round(MAX_GAP_SECONDS * FPS)
    mouths = walk(200, (*range(40, 40 + gap), *range(100, 101 + gap)))
    given = boxes(mouths)
    assert [t for t, p in enumerate(given) if p.silent] == list(range(100, 101 + gap))
    assert all(np.isnan((p.x, p.y, p.side, p.roll)).all() and p.lost for p in given if p.silent)
    # The poses before a long gap have no influence on the boxes after it, except on their sides.
    for part in (slice(0, 100), slice(101 + gap, 200)):
        assert table(given[part])[:, :3] == pytest.approx(offline(mouths[part])[:, :3], abs=1e-8)
    # A single frame between two long gaps has a box as well.
    single = boxes([None] * 20 + [MouthPose(7, 8, 60)] + [None] * 20)
    assert [t for t, p in enumerate(single) if not p.silent] == [20] and (single[20].x, single[20].y) == (7, 8)


@pytest.mark.parametrize("end", [0, 1])
def test_long_losses_at_the_beginning_and_at_the_end(end):
    lost, there = [None] * 13, walk(30)
    given = boxes(lost + there if end == 0 else there + lost)
    silent = range(13) if end == 0 else range(30, 43)
    assert [t for t, p in enumerate(given) if p.silent] == list(silent)
    kept = given[13:] if end == 0 else given[:30]
    assert table(kept) == pytest.approx(offline(there), abs=1e-8)


def test_without_a_face_all_is_silent():
    for count in (0, 1, 5, 12, 13, 300):
        given = boxes([None] * count)
        assert len(given) == count and all(p.silent and p.lost for p in given)


@pytest.mark.parametrize("look_ahead", [0, 1, 3, 17, 40])
def test_a_box_depends_on_no_frame_beyond_its_look_ahead(look_ahead):
    mouths = walk(80, (0, 1, *range(20, 24), *range(40, 60)), 3)
    whole = table(boxes(mouths, look_ahead))
    for cut in (1, 5, 19, 22, 30, 41, 50, 55, 61, 79):
        for later in (walk(80 - cut, seed=9, eyes=90), [None] * (80 - cut), []):
            changed = table(boxes(mouths[:cut] + later, look_ahead))
            known = max(0, cut - look_ahead)  # box t depends on the frames up to t + look_ahead
            assert np.array_equal(changed[:known], whole[:known], equal_nan=True)


def test_the_look_ahead_is_used():
    """The last frame within it changes the box."""
    for look_ahead in (1, 3, 5):
        mouths = walk(40)
        other = [*mouths[: 20 + look_ahead], MouthPose(900, 900, 60), *mouths[21 + look_ahead :]]
        assert boxes(mouths, look_ahead)[20] != boxes(other, look_ahead)[20]


@pytest.mark.parametrize("look_ahead", [0, 1, 3, None])
def test_each_box_is_returned_once_and_as_early_as_possible(look_ahead):
    count, ahead = 600, round(SCALE_SECONDS * FPS) if look_ahead is None else look_ahead
    given = pushed(walk(count), look_ahead)
    assert [len(boxes) for boxes in given] == [0] * ahead + [1] * (count - ahead) + [ahead]


def test_without_look_ahead_the_box_stays_during_a_short_gap():
    gap = round(MAX_GAP_SECONDS * FPS)
    given = boxes([MouthPose(50, 60, 40)] * 30 + [None] * 30 + [MouthPose(90, 60, 40)] * 5, 0)
    silent = [t for t, p in enumerate(given) if p.silent]
    assert silent == list(range(30 + gap, 60))
    assert all((p.x, p.y) == pytest.approx((50, 60)) for p in given[: 30 + gap]) and given[60].x == pytest.approx(90)


def test_memory_is_bounded_and_long_clips_are_as_their_parts():
    count = 10_000
    mouths = walk(count, tuple(range(5000, 5100)), 5)
    smoother, given, sizes = CropBoxSmoother(FPS, EYES, SMOOTHING), [], set()
    for mouth in mouths:
        given += smoother.push(mouth)
        sizes.add(sum(v.nbytes for v in vars(smoother).values() if isinstance(v, np.ndarray)))
    given += smoother.finish()
    assert len(given) == count and len(sizes) == 1 and max(sizes) < 200_000
    for start in (3_300, 4_600, 9_000):  # boxes equal those of a clip with just their context
        around = round(SCALE_SECONDS * FPS) + 20
        part = boxes(mouths[start - around : start + around])
        assert table(part[around : around + 15]) == pytest.approx(table(given[start : start + 15]), nan_ok=True)


def test_a_scale_that_changes_within_minutes_is_followed():
    """A talker who comes nearer: from 40 to 100 pixels between the eyes in two minutes."""
    count = 120 * FPS
    sizes = np.linspace(40, 100, count)
    given = boxes([MouthPose(300, 200, size) for size in sizes])
    sides = np.array([p.side for p in given])
    inner = slice(round(SCALE_SECONDS * FPS), -round(SCALE_SECONDS * FPS))
    assert sides[inner] == pytest.approx(EYES * sizes[inner], rel=1e-3)
    assert np.abs(np.diff(sides)).max() < 0.1
