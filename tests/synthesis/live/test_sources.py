"""Live frames: on the clock, at their times, dropped rather than late, and refused with a sentence."""

import io
import sys
import threading
import time
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.media_files import every, make_video, shown_times
from v2skit.errors import UserError
from v2skit.synthesis.live import sources
from v2skit.synthesis.live.sources import WAITING_FRAMES, Source, TimedFrame, on_live_clock, open_source

FRAME = np.zeros((4, 6, 3), np.uint8)


def ticks(times, fps: float, clock: int = 25) -> list[float]:
    """Time of the frame that each tick has, from the first frame on."""
    source = Source(((float(time), FRAME) for time in times), fps, live=False)
    return [timed.time - float(times[0]) for timed in on_live_clock(source, clock)]


@pytest.mark.parametrize("start", [0.0, 3.7])
@pytest.mark.parametrize("fps", [12, 24, 25, 30000 / 1001, 30, 50, 60])
def test_each_tick_has_the_nearest_frame(fps, start):
    chosen = np.array(ticks(start + every(fps, 4), fps))
    assert len(chosen) == 100
    late = np.arange(100) / 25 - chosen
    assert np.abs(late[chosen < chosen[-1]]).max() <= 0.5 / fps + 1e-6
    assert late.max() <= 1 / fps + 1e-6  # the last frame is held to its end
    assert (np.diff(chosen) >= 0).all()


def test_frames_at_the_clock_are_taken_one_by_one():
    assert ticks(np.arange(1000) / 25, 25) == pytest.approx(np.arange(1000) / 25)
    jitter = np.random.default_rng(0).uniform(-0.015, 0.015, 1000)
    jitter[0] = 0
    assert ticks(np.arange(1000) / 25 + jitter, 25) == pytest.approx(np.arange(1000) / 25 + jitter)


@pytest.mark.parametrize("fps", [12, 25, 30, 60])
def test_a_gap_is_filled_by_the_frame_after_it(fps):
    times = [t for t in every(fps, 4) if not 1 < t < 2.2]
    chosen = np.array(ticks(times, fps))
    assert len(chosen) == 100
    at, after = np.arange(len(chosen)) / 25, min(t for t in times if t > 1.5)
    gap = (at > 1 + 0.5 / fps + 1e-6) & (at < 2.2 - 0.5 / fps)
    assert gap.sum() > 20 and chosen[gap] == pytest.approx(after)
    assert np.abs(chosen - at)[~gap].max() <= 0.5 / fps + 1 / fps


def test_nothing_comes_of_nothing():
    assert list(on_live_clock(Source(iter(()), 25, live=False), 25)) == []
    assert list(Source(iter(()), 25, live=True)) == []


def test_a_live_source_drops_what_is_too_much():
    produced = threading.Event()

    def frames():
        for number in range(100):
            yield number / 25, FRAME
        produced.set()

    source = Source(frames(), 25, live=True)
    items = iter(source)
    first = next(items)
    produced.wait(5)
    times = [first.time, *(timed.time for timed in items)]
    assert isinstance(first, TimedFrame) and first.arrival <= time.perf_counter()
    assert len(times) + source.dropped == pytest.approx(100, abs=1)  # the last one may be in addition
    assert WAITING_FRAMES <= len(times) <= WAITING_FRAMES + 2 and times == sorted(times)
    assert times[-1] == 99 / 25  # so that the sound has the full length


def test_a_file_that_is_not_live_waits():
    source = Source(((n / 25, FRAME) for n in range(100)), 25, live=False)
    assert [timed.time for timed in source] == [n / 25 for n in range(100)] and source.dropped == 0


def test_close_ends_the_capture_and_what_it_holds():
    closed, produced = threading.Event(), [0]

    def frames():
        try:
            while True:
                produced[0] += 1
                time.sleep(0.001)
                yield produced[0] / 25, FRAME
        finally:
            closed.set()

    source = Source(frames(), 25, live=True)
    next(iter(source))
    source.close()
    assert closed.wait(2)
    made = produced[0]
    time.sleep(0.02)
    assert produced[0] == made


def test_what_a_camera_raises_is_raised():
    def frames():
        yield 0.0, FRAME
        raise UserError("the camera is gone")

    items = iter(Source(frames(), 25, live=True))
    next(items)
    with pytest.raises(UserError, match="the camera is gone"):
        next(items)


def from_standard_input(monkeypatch, data: bytes, size: str | None = "6x4", fps: float | None = 50.0) -> Source:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    return open_source("-", size, fps, False)


def test_raw_frames_are_rows_of_pixels(monkeypatch):
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), np.uint8)
    taken = list(from_standard_input(monkeypatch, frames.tobytes()))
    assert [timed.time for timed in taken] == [0, 0.02, 0.04]
    assert (np.stack([timed.frame for timed in taken]) == frames).all()
    assert list(from_standard_input(monkeypatch, b"")) == []
    cut = iter(from_standard_input(monkeypatch, frames.tobytes() + b"part of a frame"))
    assert [next(cut).time for _ in range(3)] == [0, 0.02, 0.04]
    with pytest.raises(UserError, match="end within frame 4, 15 of 72 bytes; was their source interrupted, or is --s"):
        next(cut)


@pytest.mark.parametrize(
    ("size", "fps", "message"),
    [
        (None, 25.0, "need --size"), ("6x4", None, "need --size"), ("6", 25.0, "--size 6 is not"),
        ("6x", 25.0, "--size 6x is not"), ("x4", 25.0, "is not of the form"), ("-6x4", 25.0, "is not of the form"),
        ("6x0", 25.0, "is not of the form"), ("6X4", 25.0, "is not of the form"), ("6x4x3", 25.0, "is not of the form"),
        ("6x4", 0.0, "fps"), ("6x4", -1.0, "fps"), ("6x4", float("nan"), "fps"), ("6x4", float("inf"), "fps"),
    ],
)  # fmt: skip
def test_impossible_raw_frames_are_refused(monkeypatch, size, fps, message):
    with pytest.raises(UserError, match=message):
        from_standard_input(monkeypatch, b"", size, fps)


def test_a_file_is_as_it_is_or_at_its_pace(tmp_path):
    video = make_video(tmp_path / "clip.mkv", every(50, 0.3), (32, 32), fps=50)
    source = open_source(str(video), None, None, False)
    assert source.fps == 50 and not source.live and source.path == video
    taken = list(source)
    assert shown_times([timed.frame for timed in taken]) == pytest.approx(every(50, 0.3), abs=0.02)
    begin = time.perf_counter()
    paced = list(open_source(str(video), None, None, True))
    assert 0.28 <= time.perf_counter() - begin < 2 and len(paced) == 15
    arrivals = np.array([timed.arrival for timed in paced])
    assert (arrivals - arrivals[0] >= every(50, 0.3) - 0.005).all()
    make_video(tmp_path / "sound.m4a", audio_seconds=0.2)
    for wrong, message in (("none.mp4", "does not exist"), ("", "is no file"), ("sound.m4a", "has no video stream")):
        with pytest.raises(UserError, match=message):
            open_source(str(tmp_path / wrong), None, None, False)


def test_cameras_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(UserError, match="camera /dev/video98 can't be opened .*; is it connected, and not in use?"):
        open_source("camera:98", None, None, False)
    with pytest.raises(UserError, match="--size 640 is not of the form"):
        open_source("camera", "640", None, False)
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(UserError, match="cameras are not supported on plan9"):
        open_source("camera", None, None, False)


def test_a_camera_is_asked_for_size_and_rate(monkeypatch, tmp_path):
    """A file stands in for it."""
    video = make_video(tmp_path / "camera.mkv", every(25, 0.2), (32, 32))
    asked, opened = [], av.open

    def camera(device, format, options):
        asked.append((device, format, options))
        return opened(str(video))

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(av, "open", camera)
    source = open_source("camera:3", "64x48", 30.0, False)
    assert asked == [("/dev/video3", "v4l2", {"video_size": "64x48", "framerate": "30"})]
    assert source.live and source.fps == 25 and source.path is None
    items = iter(source)
    assert [next(items).frame.shape for _ in range(5)] == [(32, 32, 3)] * 5
    with pytest.raises(UserError, match="camera /dev/video3 gives no more frames; is it still connected?"):
        next(items)
    open_source("camera", None, None, False)
    assert asked[-1] == ("/dev/video0", "v4l2", {})


def test_a_camera_that_fails_midway_gives_a_sentence(monkeypatch, tmp_path):
    """It is disconnected, which FFmpeg reports in its own words."""

    class Unplugged:
        streams = SimpleNamespace(video=[SimpleNamespace(average_rate=25)])

        def decode(self, stream):
            yield SimpleNamespace(time=0.0, to_ndarray=lambda format: FRAME)
            raise av.error.OSError(19, "No such device", "/dev/video0")

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(av, "open", lambda *_, **__: Unplugged())
    items = iter(open_source("camera", None, None, False))
    next(items)
    with pytest.raises(UserError, match="No such device"):
        next(items)


def stepping(monkeypatch, steps, fps: float = 25) -> list[float]:
    """The camera's times of all ticks where its clock makes given steps, while 1 / fps passes between frames."""
    times = np.cumsum([0, *steps])
    source = Source(iter(()), fps, live=True)
    arriving = [TimedFrame(float(time), number / fps, FRAME) for number, time in enumerate(times)]
    monkeypatch.setattr(Source, "__iter__", lambda self: iter(arriving))
    return [timed.time for timed in on_live_clock(source, 25)]


@pytest.mark.parametrize("jump", [-3e9, -3600, -1.5, 1.5, 60, 119, 3600, 3e9])
def test_a_clock_that_is_set_changes_nothing(monkeypatch, jump):
    steady = [1 / 25] * 10
    assert len(stepping(monkeypatch, [*steady, jump, *steady])) == 22
    assert len(stepping(monkeypatch, [*steady, jump, *steady, -jump, *steady])) in (32, 33)


def test_pauses_of_a_camera_are_filled():
    """Its clock and that of the machine agree on them."""

    def frames():
        yield 0.0, FRAME
        time.sleep(0.2)
        yield 5.0 + 0.2, FRAME  # a clock that is set during the pause
        time.sleep(0.5)
        yield 5.0 + 0.7, FRAME

    assert len(list(on_live_clock(Source(frames(), 25, live=True), 25))) == pytest.approx(2 + 12, abs=1)


def test_a_file_whose_times_jump_is_not_waited_for(monkeypatch, tmp_path):
    video = make_video(tmp_path / "clip.mkv", every(25, 0.2), (32, 32))
    moments = [0.0, 0.04, 1e6]
    monkeypatch.setattr(sources, "read_timed_frames", lambda path: ((moment, FRAME) for moment in moments))
    begin, source = time.monotonic(), open_source(str(video), None, None, True)
    with pytest.raises(UserError, match="has frame times that jump by 1000000 s"):
        list(source)
    assert time.monotonic() - begin < 5
