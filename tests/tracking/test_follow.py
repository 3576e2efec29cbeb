"""One face of several is followed, independently of the others."""

import pickle

import numpy as np
import pytest

from v2skit.errors import UserError
from v2skit.tracking.follow import RESELECT_SECONDS, TIMEOUT_SECONDS, FacesError, Follower
from v2skit.tracking.tracker import MouthPose

FPS = 25
FRAME = np.full((300, 800, 3), 40, np.uint8)


def face(x: float, eyes: float = 40.0, y: float = 160.0) -> MouthPose:
    return MouthPose(x, y, eyes)


def follow(frames: list[list[MouthPose]], face: int = 1, fps: int = FPS) -> list[MouthPose | None]:
    follower = Follower(face)
    follower.start(fps)
    chosen = [follower.choose(faces, FRAME) for faces in frames]
    follower.finish()
    return chosen


@pytest.mark.parametrize(("number", "eyes"), [(1, 60), (2, 50), (3, 30)])
def test_faces_are_counted_from_the_largest(number, eyes):
    faces = [face(100, 30), face(400, 60), face(650, 50)]
    assert follow([faces], number)[0].eye_distance == eyes
    assert follow([faces[::-1]], number)[0].eye_distance == eyes


def test_a_face_is_kept_when_another_grows_larger():
    frames = [[face(200, 60), face(600, 30 + t)] for t in range(60)]
    assert all(chosen.x == 200 for chosen in follow(frames))
    assert all(chosen.x == 600 for chosen in follow(frames, 2))


@pytest.mark.parametrize("order", [1, -1])
def test_faces_that_pass_each_other_are_not_swapped(order):
    """They approach to two eye distances, one above the other, and part again; the tracker's order means nothing."""
    frames = [[face(100 + 10 * t, 40, 120), face(700 - 10 * t, 44, 200)][::order] for t in range(61)]
    for number, y in ((1, 200), (2, 120)):
        assert all(chosen.y == y for chosen in follow(frames, number))


@pytest.mark.parametrize("fps", [25, 50])
@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.0])
def test_a_short_loss_does_not_switch_to_another_face(seconds, fps):
    """The other sits five eye distances away, as two people side by side do."""
    lost = round(seconds * fps)
    frames = [[face(200), face(400, 39)]] * 5 + [[face(400, 39)]] * lost + [[face(204), face(400, 39)]] * 5
    chosen = follow(frames, fps=fps)
    assert all(c is None for c in chosen[5 : 5 + lost])
    assert all(c is not None and c.x == 204 for c in chosen[5 + lost :])


def test_after_a_long_loss_a_face_is_selected_by_size_again():
    lost = round(RESELECT_SECONDS * FPS)
    frames = [[face(100)]] * 3 + [[]] * lost + [[face(500, 20), face(750, 30)]] * 3
    chosen = follow(frames)
    assert [c and c.x for c in chosen[:3]] == [100] * 3 and chosen[3 : 3 + lost] == [None] * lost
    assert [c.x for c in chosen[3 + lost :]] == [750] * 3
    # One frame before that, it is still the old one that is looked for.
    earlier = [[face(100)]] * 3 + [[]] * (lost - 1) + [[face(900, 30)]] * 2
    assert [c and c.x for c in follow(earlier)[-2:]] == [None, 900]


def test_a_cut_to_another_place_is_silent_first_and_then_followed():
    frames = [[face(50, 30)]] * 10 + [[face(790, 30, 40)]] * 100
    chosen = follow(frames)
    first = next(t for t, c in enumerate(chosen[10:]) if c)
    assert 5 <= first <= round(RESELECT_SECONDS * FPS) and all(c.x == 790 for c in chosen[10 + first :])


def test_fewer_faces_than_asked_for_at_first():
    frames = [[face(200)]] * 40 + [[]] * 20 + [[face(200), face(500, 30)]] * 5
    chosen = follow(frames, 2)
    assert chosen[:60] == [None] * 60 and all(c.x == 500 for c in chosen[60:])


def test_too_few_faces_are_an_error_in_time_and_at_the_end():
    follower = Follower(2)
    follower.start(FPS)
    for _ in range(100):
        assert follower.choose([], FRAME) is None  # no timeout before the first face
    timeout = round(TIMEOUT_SECONDS * FPS)
    for _ in range(timeout):
        follower.choose([face(200)], FRAME)
    with pytest.raises(FacesError, match="no face 2: there is one face, counted from the largest"):
        follower.choose([face(200)], FRAME)
    with pytest.raises(FacesError, match="no face 3: there are 2 faces"):
        follow([[face(200), face(500)], [face(200)]], 3)
    assert follow([[], []], 3) == [None, None]  # no faces at all are an error of the crop


def test_a_new_video_forgets_the_old_one():
    follower = Follower(1)
    follower.choose([face(100)], FRAME)
    follower.start(FPS)
    assert follower.choose([face(100, 20), face(700, 50)], FRAME).x == 700


def test_the_picture_shows_each_face_with_its_number():
    faces = [face(600, 59.99, 200), face(200, 60, 200)]
    with pytest.raises(FacesError) as caught:
        follow([faces[:1], faces, faces[:1]], 3)
    picture = caught.value.picture
    assert picture.shape == FRAME.shape and picture.dtype == np.uint8 and (FRAME == 40).all()
    drawn = (picture != FRAME).any(-1)
    assert not drawn[:, 310:490].any()  # between the boxes
    for mouth in faces:
        half = round(1.6 * mouth.eye_distance)
        left, right = round(mouth.x) - half, round(mouth.x) + half
        row = round(mouth.y)
        assert drawn[row, left - 1 : left + 6].any() and drawn[row, right - 6 : right + 2].any()
    one, two = (inside(drawn, mouth) for mouth in (faces[1], faces[0]))
    assert 0 < one.sum() < two.sum()  # a 1 takes less ink than a 2


def test_the_number_of_a_face_at_the_border_can_be_seen():
    near = face(60, 100, 150)  # its box begins above and left of the frame
    with pytest.raises(FacesError) as caught:
        follow([[near]], 2)
    drawn = (caught.value.picture != FRAME).any(-1)
    assert drawn[:75, :80].sum() > 100


def inside(drawn: np.ndarray, mouth: MouthPose) -> np.ndarray:
    """What is drawn within a face's box, but for its lines."""
    half, line = 1.6 * mouth.eye_distance, 8
    left, right = round(mouth.x - half) + line, round(mouth.x + half) - line
    top, bottom = max(0, round(mouth.y - 1.5 * half) + line), round(mouth.y + 0.7 * half) - line
    return drawn[top:bottom, left:right]


@pytest.mark.parametrize("number", [0, -1])
def test_impossible_numbers_are_refused(number):
    with pytest.raises(UserError, match="counted from 1, the largest"):
        Follower(number)


def test_the_error_reaches_another_process_with_its_picture():
    with pytest.raises(FacesError) as caught:
        follow([[face(200)]], 2)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value) and (copy.picture == caught.value.picture).all()
