"""``v2skit synth VIDEO`` on videos of all kinds: the right length, or the right error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

import v2skit
from tests.cases.clips import Scene, covered, frame_times, mirrored, rotated, side_by_side, sized, talker, write_clip
from tests.cases.model import untrained_run
from tests.media_files import make_video, needs_face_mesh
from v2skit.cli.main import main

needs_face_mesh()

RATE, FRAME = 24000, 960

VARIABLE = [F(n, 20) for n in range(10)] + [F(1, 2) + F(n, 40) for n in range(20)] + [1 + F(n, 10) for n in range(6)]
GAP = [F(n, 25) for n in (*range(10), *range(30, 40))]


@dataclass(frozen=True)
class Case:
    """A video and the expected result.

    Args:
        name: of the file; its extension is the container.
        seconds: expected duration of the speech; None: an error is expected.
        error: part of its message.
        view: makes the scene from those of two talkers.
        clip: arguments of :func:`write_clip`.
        spoil: damages the file.
        options: of the command.
        message: expected output after the duration.
        silent: start and end of the silence, seconds.
        left: output files that an error leaves.
    """

    name: str
    seconds: F | None = None
    error: str = ""
    view: Callable[[Scene, Scene], Scene] = lambda one, other: one
    clip: dict[str, Any] = field(default_factory=dict)
    spoil: Callable[[Path], Any] = lambda path: None
    options: tuple[str, ...] = ("--tracker", "face_mesh")
    message: str = ""
    silent: tuple[float, float] = (0.0, 0.0)
    left: tuple[str, ...] = ()


def cut(share: float) -> Callable[[Path], Any]:
    """Truncate a file to a share of its bytes."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def picture(path: Path) -> None:
    """Replace the file with a still picture, whatever its name says."""
    Image.new("RGB", (360, 288), (200, 100, 50)).save(path, "png")


def two(one: Scene, other: Scene) -> Scene:
    """Two talkers, the larger one on the left."""
    left, right = (lambda time: one(time)[:, 60:-80]), (lambda time: other(time)[:, 60:-60])
    return side_by_side(left, sized(right, 170, 288))


def upright(one: Scene, _: Scene = None) -> Scene:
    """The scene in the frame of a phone that is held upright."""
    return lambda time: one(time)[:, 20:-60]


def portrait(degrees: int) -> dict[str, Any]:
    """The clip as that phone stores it."""
    return {"view": lambda one, _: rotated(upright(one), degrees), "clip": {"rotation": degrees}}


NTSC = F(30000, 1001)
LONG = {"times": frame_times(25, 3)}
FACE_MESH = ("--tracker", "face_mesh")

CASES = [
    # Frame rates
    Case("12.mp4", F(19, 12), clip={"fps": 12}),
    Case("23.976.mp4", F(38) / F(24000, 1001), clip={"fps": F(24000, 1001)}),
    Case("24.mp4", F(38, 24), clip={"fps": 24}),
    Case("25.mp4", F(40, 25), clip={"fps": 25}),
    Case("29.97.mp4", 48 / NTSC, clip={"fps": NTSC}),
    Case("29.97.mkv", F(1601, 1000), clip={"fps": NTSC, "base": F(1, 1000)}),  # whole milliseconds
    Case("30.mp4", F(48, 30), clip={"fps": 30}),
    Case("50.mp4", F(80, 50), clip={"fps": 50}),
    Case("60.mp4", F(96, 60), clip={"fps": 60}),
    Case("variable.mp4", F(16, 10), clip={"times": VARIABLE, "fps": 10, "base": F(1, 12800)}),
    Case("variable.mkv", F(16, 10), clip={"times": VARIABLE, "fps": 10, "base": F(1, 1000)}),
    Case("gap.mp4", F(16, 10), clip={"times": GAP}),
    # First frames after time 0, and few frames
    Case("late.mp4", F(16, 10), clip={"times": [3 + t for t in frame_times(25)]}),
    Case("late.mkv", F(16, 10), clip={"times": [3 + t for t in frame_times(25)]}),
    Case("late.mpg", F(16, 10), clip={"times": [3 + t for t in frame_times(25)], "codec": "mpeg1video"}),
    Case("one.mp4", F(1, 25), clip={"times": [F(0)]}),
    Case("two.mp4", F(2, 30), clip={"times": [F(0), F(1, 30)], "fps": 30}),
    # Sizes, rotated and mirrored recordings
    Case("160x120.mp4", F(16, 10), view=lambda one, _: sized(one, 160, 120)),
    Case("1920x1080.mp4", F(1), view=lambda one, _: sized(one, 1920, 1080), clip={"times": frame_times(25, 1)}),
    Case("161x121.mp4", F(16, 10), view=lambda one, _: sized(one, 161, 121), clip={"pixels": "yuv444p"}),
    Case("161x121.avi", F(16, 10), view=lambda one, _: sized(one, 161, 121), clip={"codec": "mpeg4"}),
    Case("rotated90.mp4", F(16, 10), **portrait(90)),
    Case("rotated180.mp4", F(16, 10), **portrait(180)),
    Case("rotated270.mp4", F(16, 10), **portrait(270)),
    Case("mirrored.mp4", F(16, 10), view=lambda one, _: mirrored(one)),
    # Codecs and containers
    Case("vp9.webm", F(16, 10), clip={"codec": "libvpx-vp9", "base": F(1, 1000)}),
    Case("mpeg1.mpg", F(16, 10), clip={"codec": "mpeg1video"}),
    Case("mpeg2.mpg", 48 / NTSC, clip={"codec": "mpeg2video", "fps": NTSC}),
    Case("mpeg2.ts", F(16, 10), clip={"codec": "mpeg2video"}),
    Case("mjpeg.avi", F(16, 10), clip={"codec": "mjpeg", "pixels": "yuvj420p"}),
    Case("h264.mov", F(16, 10)),
    Case("h264.flv", F(16, 10), clip={"base": F(1, 1000)}),
    Case("gray.mkv", F(16, 10), clip={"codec": "ffv1", "pixels": "gray"}),
    Case("still.mp4", None, "no face in the video", spoil=picture),  # a picture is a video of one frame
    # Audio streams, which are never decoded
    Case("with_sound.mp4", F(16, 10), clip={"audio_seconds": 1.6}),
    Case("short_sound.mp4", F(16, 10), clip={"audio_seconds": 0.5}),
    Case("long_sound.mp4", F(16, 10), clip={"audio_seconds": 4.0}),
    Case("long_sound.mkv", F(16, 10), clip={"audio_seconds": 4.0}),
    # Faces that are visible for a part of the video
    Case(
        "covered.mp4", F(3), view=lambda one, _: covered(one, 1.0, 2.0), clip=LONG, silent=(1.0, 2.0),
        message="; no face in 33% of the frames, silent for 1.0 s",
    ),
    Case(
        "covered_briefly.mp4", F(16, 10), view=lambda one, _: covered(one, 0.8, 1.2),
        message="; no face in 25% of the frames",
    ),
    Case(
        "face_late.mp4", F(3), view=lambda one, _: covered(one, 0.0, 1.0), clip=LONG, silent=(0.0, 1.0),
        message="; no face in 33% of the frames, silent for 1.0 s",
    ),
    Case(
        "face_gone.mp4", F(3), view=lambda one, _: covered(one, 2.0, 3.0), clip=LONG, silent=(2.0, 3.0),
        message="; no face in 33% of the frames, silent for 1.0 s",
    ),
    Case("no_face.mp4", None, "no face in the video; show one", view=lambda one, _: covered(one, 0.0, 3.0)),
    # Several faces
    Case("faces.mp4", F(16, 10), view=two),
    Case("faces.mp4", F(16, 10), view=two, options=(*FACE_MESH, "--face", "2")),
    Case(
        "faces.mp4", None, "there are 2 faces, counted from the largest; ", view=two,
        options=(*FACE_MESH, "--face", "3"), left=("speech.faces.png",),
    ),
    Case("face.mp4", None, "faces are counted from 1", options=(*FACE_MESH, "--face", "0")),
    Case("face.mp4", None, "can't choose a face; leave --face out", options=("--tracker", "none", "--face", "2")),
    # Damaged files, and files that are no videos
    Case("no_index.mp4", None, "is no media file, or is damaged", spoil=cut(0.9)),
    Case("half.mkv", None, "cut off", spoil=cut(0.5)),
    Case("half.webm", None, "cut off", clip={"codec": "libvpx-vp9"}, spoil=cut(0.5)),
    Case("half.mpg", None, "cut off", clip={"codec": "mpeg1video"}, spoil=cut(0.5)),
    Case("half.avi", None, "cut off", clip={"codec": "mjpeg", "pixels": "yuvj420p"}, spoil=cut(0.5)),
    Case("empty.mp4", None, "is empty; fetch or record it again", spoil=lambda path: path.write_bytes(b"")),
    Case("text.mp4", None, "is no media file", spoil=lambda path: path.write_text("this is no video\n" * 50)),
    Case("sound.mp4", None, "has no video stream; give a file", spoil=lambda path: make_video(path, audio_seconds=0.5)),
    Case("missing.mp4", None, "does not exist; check the path", spoil=lambda path: path.unlink()),
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def talkers() -> tuple[Scene, Scene]:
    return talker("swiz3n"), talker("s34_lbwh5n")


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join([case.name, *case.options[2:]]))
def test_the_duration_or_the_error_is_the_expected_one(case, run, talkers, tmp_path, capsys):
    video = write_clip(tmp_path / case.name, case.view(*talkers), **case.clip)
    case.spoil(video)
    out = tmp_path / "out"
    out.mkdir()
    speech = out / "speech.wav"
    status = main(["synth", str(video), "--model", str(run), "-o", str(speech), "--device", "cpu", *case.options])
    output, error = capsys.readouterr()
    assert "Traceback" not in error
    if case.seconds is None:
        assert status == 1 and "v2skit: error: " in error and case.error in error and not output
        assert sorted(path.name for path in out.iterdir()) == sorted(case.left)
        return
    assert status == 0, error
    assert [path.name for path in out.iterdir()] == ["speech.wav"]
    sound, rate = soundfile.read(speech, dtype="int16")
    assert rate == RATE and abs(len(sound) - case.seconds * RATE) <= 1
    assert output == f"{speech}: {len(sound) / RATE:.2f} s{case.message}\n"
    audible = [bool(sound[start : start + FRAME].any()) for start in range(0, len(sound) // FRAME * FRAME, FRAME)]
    begin, end = (round(25 * time) for time in case.silent)
    # Speech fades out within the first frame without a face.
    assert audible == [not (begin + (begin > 0) <= frame < end) for frame in range(len(audible))]


@pytest.fixture(scope="module")
def tracked(run, talkers, tmp_path_factory) -> Callable:
    """(view, clip, tracker) -> synthesised speech with its track."""
    model, folder = v2skit.load(run, "cpu"), tmp_path_factory.mktemp("clips")

    def synthesise(view, clip=None, tracker="face_mesh"):
        video = write_clip(folder / "clip.mp4", view, **(clip or {}))
        return model.synthesise(video, tracker=v2skit.tracker(tracker))

    return synthesise


def boxes(speech) -> np.ndarray:
    """Crop boxes (T,4): x, y, side, roll."""
    assert not speech.track.lost.any()
    return speech.track.boxes


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_the_track_of_a_rotated_recording_is_the_same(tracked, talkers, degrees):
    stored = rotated(upright(talkers[0]), degrees)
    wanted, got = tracked(upright(talkers[0])), tracked(stored, {"rotation": degrees})
    assert np.abs(boxes(got) - boxes(wanted)).max(0) == pytest.approx(0, abs=3)
    assert np.abs(boxes(got)[:, 3]).max() < 0.15
    assert len(got.waveform) == len(wanted.waveform)


def test_the_track_of_a_mirrored_scene_is_mirrored(tracked, talkers):
    wanted, got = boxes(tracked(talkers[0])), boxes(tracked(mirrored(talkers[0])))
    assert np.abs(360 - got[:, 0] - wanted[:, 0]).max() < 4
    assert np.abs(got[:, 1:3] - wanted[:, 1:3]).max() < 4


def test_a_display_matrix_that_mirrors_is_applied(tracked, talkers):
    """As front cameras store it: the display matrix mirrors the frame without rotating it."""
    wanted, got = boxes(tracked(talkers[0])), boxes(tracked(mirrored(talkers[0]), {"rotation": "mirrored"}))
    assert np.abs(got - wanted).max() < 3


@pytest.mark.parametrize("size", [(160, 120), (161, 121), (1280, 720)])
def test_the_track_scales_with_the_frame(tracked, talkers, size):
    width, height = size
    few = {"times": frame_times(25, 0.4), "pixels": "yuv444p"}
    wanted, got = (boxes(tracked(view, few)) for view in (talkers[0], sized(talkers[0], width, height)))
    scale = min(width / 360, height / 288)
    middle = scale * (wanted[:, :2] - (180, 144)) + (width / 2, height / 2)
    assert np.abs(got[:, :2] - middle).max() < 0.02 * height
    assert np.abs(got[:, 2] / scale - wanted[:, 2]).max() < 0.1 * wanted[:, 2].mean()


def test_frames_without_a_face_are_in_the_track(tracked, talkers):
    speech = tracked(covered(talkers[0], 1.0, 2.0), LONG)
    lost = np.arange(75) // 25 == 1
    assert (speech.track.lost == lost).all() and (speech.track.silent == lost).all()
    assert np.isnan(speech.track.boxes[lost]).all() and np.isfinite(speech.track.boxes[~lost]).all()
    brief = tracked(covered(talkers[0], 0.8, 1.2))
    assert brief.track.lost.sum() == 10 and not brief.track.silent.any()
    across = brief.track.boxes[18:32]
    assert np.abs(np.diff(across[:, :2], axis=0)).max() < 3  # boxes are interpolated over the gap


def test_the_largest_face_is_followed_or_the_requested_one(tracked, talkers):
    both = two(*talkers)
    first = boxes(tracked(both))
    second = boxes(tracked(both, tracker="{type: face_mesh, face: 2}"))
    assert (first[:, 0] < 220).all() and (second[:, 0] > 220).all()
    assert (first[:, 2] > second[:, 2]).all()


def test_the_picture_of_the_faces_has_a_box_around_each(run, talkers, tmp_path, capsys):
    video = write_clip(tmp_path / "faces.mp4", two(*talkers))
    options = ["--model", str(run), "-o", str(tmp_path / "speech.wav"), "--device", "cpu", *FACE_MESH, "--face", "3"]
    assert main(["synth", str(video), *options]) == 1
    shown = tmp_path / "speech.faces.png"
    assert f"{shown} shows them" in capsys.readouterr().err
    image = np.asarray(Image.open(shown)).astype(int)
    assert image.shape == (288, 390, 3)
    yellow = np.abs(image - (255, 220, 0)).max(2) < 3
    for half, mouth in ((slice(0, 220), 111), (slice(220, 390), 92)):  # the talkers' mouths, in their halves
        rows, columns = np.nonzero(yellow[:, half])
        assert columns.min() < mouth < columns.max() and rows.min() < 190 < rows.max()
        box = yellow[rows.min() : rows.max() + 1, half][:, columns.min() : columns.max() + 1]
        assert box[[0, -1]].mean() > 0.9 and box[:, [0, -1]].mean() > 0.9
