"""The video stream of any container as upright RGB frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import VideoReformatter

from v2skit.errors import UserError
from v2skit.media.container import decode_stream, open_container, require_video_stream
from v2skit.media.faults import readable
from v2skit.media.timestamps import presentation_times, resample_frames

MAX_PIXEL_ASPECT = 4
"""Digital television at half width has 32:11, DV and HDV have 64:45 and less."""

MIN_PIXEL_STRETCH = 0.01
"""What is nearer to square was rounded to whole pixels, as 854x480 for 16:9, and would only lose sharpness."""

Decoded = Callable[[int], None]
"""Called with the number of frames decoded so far; what it raises ends the decoding."""

_SIDE_DATA: Any = SideDataContainer  # its type lacks the constructor


@dataclass
class Duration:
    """Duration of a video, from the first frame's presentation time to the end of the last frame, in ``seconds``.

    It grows while :func:`read_video` decodes, and is final once the last frame has been read.
    """

    seconds: Fraction = Fraction(0)


def read_video(
    path: Path, fps: int, duration: Duration | None = None, decoded: Decoded | None = None
) -> Iterator[np.ndarray]:
    """Decode a video at a constant frame rate.

    Args:
        path: any container; its audio is not decoded.
        fps: frames a second of the output, see :func:`v2skit.media.timestamps.resample_frames`.
        duration: is set to the duration of the video.
        decoded: is called for each frame of the file, also for those that no frame of the output shows.

    Yields:
        Upright frames of square pixels, RGB uint8 (H,W,3), ``round(seconds * fps)`` of them.

    Raises:
        UserError: no media file, no video stream or no frames in it, damaged or cut off.
    """
    duration = duration or Duration()
    with open_container(path) as container, readable(path):
        stream = require_video_stream(container, path)
        timed = presentation_times(decode_stream(container, stream, path), stream)
        upright = UprightFrames(_pixel_aspect(stream))
        count = 0
        for frame in resample_frames(_measure(timed, duration, decoded), fps, path):
            count += 1
            yield upright(frame)
        if not count:
            raise UserError.about(path, "has a video stream without frames; fetch or record it again")


def read_timed_frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Decode every frame of a video at its own frame rate.

    Yields:
        presentation time in seconds, and the upright frame, RGB uint8 (H,W,3).

    Raises:
        UserError: as :func:`read_video`.
    """
    with open_container(path) as container, readable(path):
        stream = require_video_stream(container, path)
        upright = UprightFrames(_pixel_aspect(stream))
        for time, _, frame in presentation_times(decode_stream(container, stream, path), stream):
            yield float(time), upright(frame)


def _measure(
    frames: Iterable[tuple[Fraction, Fraction, av.VideoFrame]], total: Duration, decoded: Decoded | None
) -> Iterator[tuple[Fraction, Fraction, av.VideoFrame]]:
    """The same frames; ``total`` follows them."""
    first = None
    for count, (time, duration, frame) in enumerate(frames, 1):
        if decoded is not None:
            decoded(count)
        first = time if first is None else first
        total.seconds = time + duration - first
        yield time, duration, frame


def _pixel_aspect(stream: av.VideoStream) -> Fraction:
    """Width of a pixel over its height; 1 where the file states none, nonsense or nearly 1."""
    stated = stream.sample_aspect_ratio
    usual = stated and 1 / MAX_PIXEL_ASPECT <= stated <= MAX_PIXEL_ASPECT and abs(stated - 1) > MIN_PIXEL_STRETCH
    return stated if stated and usual else Fraction(1)


class UprightFrames:
    """Converts the decoded frames of a video, with one scaler for all of them.

    Neither a scaler nor a cycle of references stays with a frame: ``frame.reformat`` makes a scaler with threads of its
    own per frame, and ``frame.side_data`` a cycle, which would keep both until the garbage collector runs.

    Args:
        pixel_aspect: width of a pixel over its height; frames are scaled in width to square ones.
    """

    def __init__(self, pixel_aspect: Fraction = Fraction(1)) -> None:
        self._scaler, self._pixel_aspect = VideoReformatter(), pixel_aspect

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """RGB uint8 (H,W,3), rotated and mirrored as the file's display matrix says."""
        width = max(1, round(frame.width * self._pixel_aspect))
        rgb = self._scaler.reformat(frame, width=width, format="rgb24", threads=1).to_ndarray()
        matrix = _SIDE_DATA(frame).get("DISPLAYMATRIX")
        if matrix is not None:
            a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].astype(float)
            if a * d < b * c:  # mirrored, as front cameras store it; frame.rotation ignores that
                rgb = rgb[::-1]
        return np.rot90(rgb, round(frame.rotation / 90)) if frame.rotation else rgb
