"""Sources of live video: a camera, a file, raw frames on standard input."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from v2skit.errors import UserError
from v2skit.media.container import probe
from v2skit.media.formats import MAX_PIXELS
from v2skit.media.timestamps import MAX_STEP_SECONDS, check_step
from v2skit.media.video import read_timed_frames
from v2skit.system.prefetch import queue_size

CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}"), "win32": ("dshow", "video={}")}
"""Platform -> FFmpeg's input format and the name of a camera in it."""

WAITING_FRAMES = 25
"""Size of the queue between capture and processing, frames, fewer large ones; when it is full, frames are dropped."""


MAX_SIZE_CHARACTERS = 11

CLOCK_TOLERANCE = 1.0
"""Seconds by which a step of a camera's clock may exceed the time that has passed."""

CAMERA_TIMEOUT = 10.0
"""Seconds without a frame after which a camera counts as disconnected."""


@dataclass(frozen=True)
class TimedFrame:
    """A frame, RGB uint8 (H,W,3), its ``time`` in the video and its ``arrival`` (of ``time.perf_counter``), seconds."""

    time: float
    arrival: float
    frame: np.ndarray


class Source:
    """Frames as they arrive.

    Args:
        frames: (time in the video in seconds, frame), in real time or as fast as they can be read.
        fps: approximate frame rate.
        live: in real time: frames that arrive while ``WAITING_FRAMES`` are queued are dropped.
        path: of their file, if any.
        timeout: seconds without a frame after which a live source has failed; None: it may pause.
    """

    def __init__(
        self,
        frames: Iterator[tuple[float, np.ndarray]],
        fps: float,
        live: bool,
        path: Path | None = None,
        timeout: float | None = None,
    ) -> None:
        self.timeout = timeout
        self.frames, self.fps, self.live, self.path, self.dropped = frames, fps, live, path, 0
        self._closed = threading.Event()
        self._queue: queue.Queue = queue.Queue()

    def __iter__(self) -> Iterator[TimedFrame]:
        if not self.live:
            for moment, frame in self.frames:
                yield TimedFrame(moment, time.perf_counter(), frame)
            return
        threading.Thread(target=self._capture, daemon=True).start()
        while (item := self._next()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def waiting(self) -> bool:
        """Whether frames of a live source have arrived that were not taken yet."""
        return not self._queue.empty()

    def close(self) -> None:
        """Stop capturing."""
        self._closed.set()

    def _next(self) -> TimedFrame | BaseException | None:
        try:
            return self._queue.get(timeout=self.timeout)
        except queue.Empty:
            raise UserError(f"no frame arrived for {self.timeout:g} s; is the camera still connected?") from None

    def _capture(self) -> None:
        waiting, late = self._queue, None
        try:
            for moment, frame in self.frames:
                if self._closed.is_set():
                    break
                late = TimedFrame(moment, time.perf_counter(), frame)
                if waiting.qsize() < queue_size(WAITING_FRAMES, frame):
                    waiting.put(late)
                    late = None
                else:
                    self.dropped += 1
            if late is not None:  # the last frame determines the length of the video
                self.dropped -= 1
                waiting.put(late)
        except BaseException as error:
            waiting.put(error)
        finally:
            if hasattr(self.frames, "close"):
                self.frames.close()
        waiting.put(None)


def on_live_clock(source: Source, fps: int) -> Iterator[TimedFrame]:
    """The frames at ``fps``: for each time the nearest one among the frames that have arrived.

    Unlike :func:`v2skit.media.timestamps.resample_frames` it never waits for a later frame. A dropped
    frame is replaced by the next one, so that sound and picture stay synchronous; the last one is held to its end.
    Where the clock of a camera was set, backwards or forwards by more than CLOCK_TOLERANCE, its next frame follows the
    previous one.

    Raises:
        UserError: a file's frame is shown for more than MAX_STEP_SECONDS.
    """
    ticks, first, previous, arrival = 0, None, 0.0, 0.0
    for timed in source:
        first = timed.time if first is None else first
        step = timed.time - previous if ticks else 0.0
        passed = timed.arrival - arrival + CLOCK_TOLERANCE if source.live else MAX_STEP_SECONDS
        if source.path is not None:
            check_step(step, previous - first, source.path)
        elif not 0 <= step <= max(passed, 2 / source.fps):
            first += step - 1 / source.fps
        previous, arrival = timed.time, timed.arrival
        while ticks / fps <= timed.time - first + 0.5 / source.fps:
            yield timed
            ticks += 1
    if first is not None:
        length = round((timed.time - first + 1 / source.fps) * fps)
        yield from [timed] * (length - ticks)


def open_source(name: str, size: str | None, fps: float | None, realtime: bool) -> Source:
    """A source by name.

    Args:
        name: ``camera`` or ``camera:N``, ``-`` for raw RGB frames on standard input, or a video file.
        size: ``WIDTHxHEIGHT`` of raw frames, or requested of a camera.
        fps: of raw frames, or requested of a camera.
        realtime: frames of a file are read at their times, as from a camera; raw frames arrive in real time.

    Raises:
        UserError: there is no such source, or something is missing.
    """
    if name == "-":
        return _raw(sys.stdin.buffer, size, fps, realtime)
    if name == "camera" or name.startswith("camera:"):
        return _camera(name.partition(":")[2] or "0", size, fps)
    if size or fps:
        raise UserError("--size and --fps are for raw frames and cameras; a file states its own")
    path = Path(name)
    rate = probe(path).fps
    if rate is None:
        raise UserError.about(path, "has no video stream; give a file with a picture")
    frames = read_timed_frames(path)
    return Source(_paced(frames, path) if realtime else frames, rate, realtime, path)


def _raw(stream: BinaryIO, size: str | None, fps: float | None, live: bool) -> Source:
    if size is None or fps is None:
        raise UserError("raw frames (-) need --size WIDTHxHEIGHT and --fps N; they are RGB, 3 bytes a pixel")
    width, height = _size(size)
    if not 0.01 <= fps <= 1000:
        raise UserError(f"--fps {fps:g} must lie in 0.01..1000, the frames a second of the raw frames")

    def frames() -> Iterator[tuple[float, np.ndarray]]:
        number, count = 0, width * height * 3
        while len(raw := stream.read(count)) == count:
            yield number / fps, np.frombuffer(raw, np.uint8).reshape(height, width, 3)
            number += 1
        if raw:
            raise UserError(
                f"the raw frames end within frame {number + 1}, {len(raw)} of {count} bytes; was their source "
                "interrupted, or is --size another one?"
            )

    return Source(frames(), fps, live)


def _camera(number: str, size: str | None, fps: float | None) -> Source:
    if sys.platform not in CAMERAS:
        raise UserError(f"cameras are not supported on {sys.platform}; give a file or raw frames (-)")
    kind, pattern = CAMERAS[sys.platform]
    device = pattern.format(number)
    wanted = {"video_size": "{}x{}".format(*_size(size))} if size else {}
    wanted |= {"framerate": f"{fps:g}"} if fps else {}
    try:
        container = av.open(device, format=kind, options=wanted)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"camera {device} can't be opened ({error}); is it connected, and not in use?") from error
    stream = container.streams.video[0]

    def frames() -> Iterator[tuple[float, np.ndarray]]:
        try:
            with container:
                for frame in container.decode(stream):
                    if frame.time is not None:
                        yield float(frame.time), frame.to_ndarray(format="rgb24")
        except av.FFmpegError as error:
            raise UserError(f"camera {device} gives no more frames ({error}); is it still connected?") from error
        raise UserError(f"camera {device} gives no more frames; is it still connected?")

    return Source(frames(), float(stream.average_rate or fps or 30), live=True, timeout=CAMERA_TIMEOUT)


def _paced(frames: Iterator[tuple[float, np.ndarray]], path: Path) -> Iterator[tuple[float, np.ndarray]]:
    begin, first, previous = None, 0.0, 0.0
    for moment, frame in frames:
        if begin is None:
            begin, first, previous = time.perf_counter(), moment, moment
        check_step(moment - previous, previous - first, path)  # before a wait of years
        previous = moment
        time.sleep(max(0.0, begin + moment - first - time.perf_counter()))
        yield moment, frame


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    decimal = cross and len(text) <= MAX_SIZE_CHARACTERS and width.isdecimal() and height.isdecimal()
    if not (decimal and 0 < int(width) * int(height) <= MAX_PIXELS):
        raise UserError(f"--size {text[:20]} is not of the form WIDTHxHEIGHT, e.g. 640x480, up to 8192x4320")
    return int(width), int(height)
