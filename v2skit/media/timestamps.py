"""When the frames of a video are shown: repaired presentation times, and a constant frame rate made of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av

from v2skit.errors import UserError
from v2skit.media.container import frame_rate, time_base

REORDERED_FRAMES = 8
"""Presentation times must grow; one that is later than one of so many frames after it is wrong."""

MAX_STEP_SECONDS = 120
"""Longest time from one frame to the next; a longer one is a fault of the recording, which would be filled with copies
of one frame for hours or years."""

Frame = TypeVar("Frame")


def presentation_times(
    frames: Iterable[av.VideoFrame], stream: av.VideoStream
) -> Iterator[tuple[Fraction, Fraction, av.VideoFrame]]:
    """Presentation times and durations of decoded frames.

    A frame without a timestamp, or with a wrong one, is shown at the end of the frame before it.

    Args:
        frames: in presentation order.
        stream: that they were decoded from.

    Yields:
        (presentation time, duration, frame), both in seconds; the times grow strictly.
    """
    time: Fraction | None = None
    duration = Fraction(0)
    for frame, following in with_following(frames, REORDERED_FRAMES):
        valid = frame.pts is not None and all(frame.pts < f.pts for f in following if f.pts is not None)
        stated = frame.pts * time_base(stream) if valid and frame.pts is not None else None
        expected = Fraction(0) if time is None else time + duration
        time = expected if stated is None or (time is not None and stated <= time) else stated
        duration = frame.duration * time_base(stream) if frame.duration else Fraction(1 / frame_rate(stream))
        yield time, duration, frame


def resample_frames(
    frames: Iterable[tuple[Fraction, Fraction, Frame]], fps: int, path: Path | None = None
) -> Iterator[Frame]:
    """Nearest-neighbour resampling of a video of any frame rate, constant or not, to a constant one.

    Output frame t is the input frame whose presentation time is nearest to ``first + t / fps``. There are as many of
    them as the whole duration times ``fps``, rounded, but at least one.

    Args:
        frames: (presentation time, duration, frame), in seconds; the times grow.
        fps: frames a second of the output.
        path: of the video, for the message.

    Raises:
        UserError: a frame is shown for more than MAX_STEP_SECONDS.
    """
    count, first, previous, end = 0, None, Fraction(0), Fraction(0)
    # Up to one output frame is delayed: only the last input frame says whether the video is long enough for it.
    delayed: list[Frame] = []
    latest: list[Frame] = []
    for time, duration, frame in frames:
        first = time if first is None else first
        check_step(float(time - previous) if latest else 0.0, float(previous - first), path)
        while (count and Fraction(count, fps) < (previous + time) / 2 - first) or (not count and time > first):
            yield from delayed
            delayed, count = latest, count + 1
        previous, end, latest = time, time + duration, [frame]
    check_step(float(end - previous), float(previous - (first or 0)), path)
    length = 0 if first is None else max(1, round((end - first) * fps))
    while count < length:
        yield from delayed
        delayed, count = latest, count + 1
    if count <= length:
        yield from delayed


def check_step(step: float, at: float, path: Path | None = None) -> None:
    """Raises UserError where the frame that begins ``at`` seconds into the video lasts ``step`` seconds, too long."""
    if step > MAX_STEP_SECONDS:
        raise UserError.about(
            path or Path("the video"),
            f"has frame times that jump by {step:.0f} s at {at:.2f} s, more than {MAX_STEP_SECONDS} s; record "
            "it again, or renumber its frames: ffmpeg -i VIDEO -vf setpts=N/FRAME_RATE/TB REPAIRED.mp4",
        )


def with_following(frames: Iterable[Frame], count: int) -> Iterator[tuple[Frame, deque[Frame]]]:
    """Each frame, and up to ``count`` that follow it."""
    waiting: deque[Frame] = deque()
    for frame in frames:
        waiting.append(frame)
        if len(waiting) > count:
            yield waiting.popleft(), waiting
    while waiting:
        yield waiting.popleft(), waiting
