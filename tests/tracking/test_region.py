"""A region's pixels and points correspond to those of the frame."""

import math

import numpy as np
import pytest

from v2skit.tracking.region import MARGIN, Region, intersection_over_union


def ramp(height: int = 120, width: int = 160) -> np.ndarray:
    """A frame whose red is its column and whose green is its row."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[..., 0], frame[..., 1] = np.arange(width), np.arange(height)[:, None]
    return frame


def test_a_region_of_whole_pixels_is_those_pixels():
    frame = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    sampled = Region(70, 60, 32, 0.0).sample(frame, 32)
    assert sampled.dtype == np.float32 and sampled.shape == (32, 32, 3)
    assert np.abs(sampled - frame[44:76, 54:86] / np.float32(255)).max() < 1e-4


@pytest.mark.parametrize("roll", [0.0, 0.4, -1.2, math.pi / 2, 3.0])
@pytest.mark.parametrize("side", [20.0, 60.5])
def test_a_point_maps_to_where_its_pixel_was_sampled(roll, side):
    """The colours of the region encode positions in the frame."""
    region, size = Region(80.3, 61.7, side, roll), 48
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    positions = region.to_frame(np.stack([columns.ravel(), rows.ravel()], 1) / size)
    sampled = 255 * region.sample(ramp(), size)[..., :2].reshape(-1, 2)
    assert np.abs(sampled - positions).max() < 0.01


def test_edge_pixels_are_repeated_beyond_the_frame():
    region = Region(2.0, 118.0, 40.0, 0.3)
    size = 24
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    positions = region.to_frame(np.stack([columns.ravel(), rows.ravel()], 1) / size)
    inside = np.clip(positions, 0, (159, 119))
    assert (positions != inside).any()
    assert np.abs(255 * region.sample(ramp(), size)[..., :2].reshape(-1, 2) - inside).max() < 0.01


@pytest.mark.parametrize("centre", [(-300, 60), (80, 900), (5000, -5000)])
def test_a_region_outside_the_frame_is_its_nearest_border(centre):
    sampled = Region(*centre, 30.0, 0.2).sample(ramp(), 16)
    nearest = np.clip(centre, 0, (159, 119))
    assert np.abs(255 * sampled[8, 8, :2] - nearest).max() < 16


@pytest.mark.parametrize("roll", [0.0, 0.5, -2.0])
def test_a_region_around_a_face_is_upright_by_its_eyes(roll):
    step = 10 * np.array([math.cos(roll), math.sin(roll)])
    region = Region.around(np.array([20, 30, 80, 70]), np.array([45, 45]) - step, np.array([45, 45]) + step)
    assert (region.x, region.y, region.side) == (50, 50, MARGIN * 60)
    assert region.roll == pytest.approx(roll)


def test_the_corners_of_a_rotated_region():
    corners = Region(10, 20, 4, math.pi / 2).to_frame(np.array([[0, 0], [1, 0], [0.5, 0.5]]))
    assert corners == pytest.approx(np.array([[12, 18], [12, 22], [10, 20]]))


def test_intersection_over_union():
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [5, 5, 6, 6], [0, 0, 1, 1], [1, 1, 1, 1]], float)
    assert intersection_over_union(boxes[0], boxes) == pytest.approx([1, 1 / 3, 0, 0, 1 / 4, 0])
    assert intersection_over_union(np.zeros(4), np.zeros((1, 4))) == [0]


@pytest.mark.filterwarnings("error")
def test_a_frame_that_is_read_only_or_a_view_is_sampled_alike():
    frame = ramp()
    locked = frame.copy()
    locked.flags.writeable = False
    region = Region(80, 60, 300.0, 0.1)
    wanted = region.sample(frame, 32)
    assert (region.sample(locked, 32) == wanted).all()
    assert (region.sample(np.asfortranarray(frame), 32) == wanted).all()
    assert (region.sample(frame[::-1].copy()[::-1], 32) == wanted).all()
