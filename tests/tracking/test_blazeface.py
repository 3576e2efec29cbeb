"""The detector's decoding, on outputs made by hand, and the whole on real faces."""

import numpy as np
import pytest
from PIL import Image

from tests.media_files import needs_face_mesh, real_data
from v2skit.media.video import read_video
from v2skit.tracking.blazeface import FULL_RANGE, SHORT_RANGE, BlazeFace, anchors, decode, letterbox, weighted_nms


def test_there_is_an_anchor_for_each_output_of_the_models():
    short, full = anchors(128, SHORT_RANGE[1]), anchors(192, FULL_RANGE[1])
    assert short.shape == (896, 2) and full.shape == (2304, 2)
    assert (short[:2] == 0.5 / 16).all() and short[2] == pytest.approx([1.5 / 16, 0.5 / 16])  # x first, then y
    assert (short[512:518] == 0.5 / 8).all() and short[518] == pytest.approx([1.5 / 8, 0.5 / 8])
    assert full[48] == pytest.approx([0.5 / 48, 1.5 / 48])


def test_decoding_adds_the_anchor_and_divides_by_the_size():
    values = np.zeros((1, 16))
    values[0, :4] = 12.8, -12.8, 25.6, 51.2  # centre, width and height, pixels of 128
    values[0, 4:6], values[0, 14:16] = (6.4, 0), (0, -6.4)
    face = decode(values, np.array([[0.5, 0.25]]), 128)[0]
    assert face[:4] == pytest.approx([0.5, -0.05, 0.7, 0.35])
    assert face[4:6] == pytest.approx([0.55, 0.25]) and face[14:] == pytest.approx([0.5, 0.2])


def test_overlapping_faces_are_averaged_by_their_scores():
    faces = np.array([[0, 0, 10, 10, 1], [50, 0, 60, 10, 7], [2, 0, 12, 10, 4], [9, 0, 19, 10, 9]], float)
    best, means = weighted_nms(np.array([0.9, 0.8, 0.6, 0.5]), faces)
    assert best == pytest.approx([0.9, 0.8, 0.5])
    assert means[0] == pytest.approx((0.9 * faces[0] + 0.6 * faces[2]) / 1.5)
    assert (means[1:] == faces[[1, 3]]).all()


def test_the_order_of_the_detections_means_nothing():
    random = np.random.default_rng(3)
    corner = random.uniform(0, 30, (40, 2))
    faces, scores = np.concatenate([corner, corner + random.uniform(5, 15, (40, 2))], 1), random.uniform(0.5, 1, 40)
    wanted = weighted_nms(scores, faces)
    shuffled = random.permutation(40)
    for got, want in zip(weighted_nms(scores[shuffled], faces[shuffled]), wanted):
        assert got == pytest.approx(want)
    assert 1 < len(wanted[0]) < 40 and (np.diff(wanted[0]) <= 0).all()


def test_no_detection_is_no_face():
    best, means = weighted_nms(np.zeros(0), np.zeros((0, 16)))
    assert best.shape == (0,) and means.shape == (0, 16)


@pytest.mark.parametrize(("width", "height"), [(360, 288), (288, 360), (64, 64), (1000, 20), (1920, 1080), (1, 500)])
def test_a_frame_fits_into_the_square_and_its_places_are_known(width, height):
    frame = np.full((height, width, 3), 255, np.uint8)
    picture, scale, offset = letterbox(frame, 128)
    assert picture.shape == (128, 128, 3) and picture.dtype == np.float32
    rows, columns = np.nonzero(picture[..., 0] > 0.9)
    assert set(np.unique(picture)) <= {-1, 1}
    assert (columns.min(), rows.min()) == tuple(offset)
    assert np.array([columns.max() + 1, rows.max() + 1]) == pytest.approx(offset + scale * (width, height))
    assert max(columns.max() - columns.min(), rows.max() - rows.min()) == 127


@pytest.fixture(scope="module")
def talker() -> np.ndarray:
    needs_face_mesh()
    return next(iter(read_video(min(real_data("grid_others").glob("*.mpg")), 25)))


@pytest.mark.parametrize("model", [SHORT_RANGE, FULL_RANGE], ids=["short", "full"])
@pytest.mark.parametrize("degrees", [0, 20, -20])
def test_the_face_of_a_talker_is_found_once_and_upright(talker, model, degrees):
    frame = np.asarray(Image.fromarray(talker).rotate(-degrees, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128)))
    faces = BlazeFace(*model, 0.5).detect(frame)
    assert len(faces) == 1
    assert np.degrees(faces[0].roll) == pytest.approx(degrees, abs=8)
    assert 120 < faces[0].x < 240 and 80 < faces[0].y < 220 and 120 < faces[0].side < 300


def test_small_faces_are_found_by_the_full_range(talker):
    """A head about 60 pixels high in a frame of 640x480: too small for the short range."""
    frame = np.full((480, 640, 3), 128, np.uint8)
    frame[200:315, 300:444] = np.asarray(Image.fromarray(talker).resize((144, 115), Image.Resampling.BILINEAR))
    (face,) = BlazeFace(*FULL_RANGE, 0.5).detect(frame)
    assert 350 < face.x < 394 and 240 < face.y < 290 and face.side < 110
    assert BlazeFace(*SHORT_RANGE, 0.5).detect(frame) == []


def test_nothing_is_found_where_there_is_nothing():
    needs_face_mesh()
    frame = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    for model in (SHORT_RANGE, FULL_RANGE):
        assert BlazeFace(*model, 0.5).detect(frame) == []
        assert BlazeFace(*model, 0.5).detect(np.full_like(frame, 128)) == []
