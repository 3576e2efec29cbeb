"""Steady mouth crops: of constant scale, upright, without the tracker's jitter."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2skit.config.features import Crop
from v2skit.errors import UserError
from v2skit.tracking.smoothing import Place, SteadyPlaces, side_of
from v2skit.tracking.tracker import Mouth, Tracker

WINDOW = 2.0
"""Side of what is kept of a frame until the crop's place is known, in sides of the crop."""

GRAY = 107
"""Of a crop where there is no face: the mean of mouth crops, as in training's time masks."""

WHOLE_FRAME = 480
"""Frames before the first face are kept whole, reduced to at most this many pixels a side."""


@dataclass(frozen=True)
class MouthCrop:
    """One frame's crop, gray uint8 (S,S), and where it was cut; evenly gray where the place is ``silent``."""

    picture: np.ndarray
    place: Place


@dataclass(frozen=True)
class Track:
    """Where the mouth was, frame by frame on the clock.

    Args:
        fps: frames a second.
        place: float32 (T,4): x and y of the crop's centre and its side, pixels of the upright frame, and its roll,
            radians; NaN where ``silent``.
        lost: bool (T,), no face was found in the frame.
        silent: bool (T,), lost for so long that there is no speech.
    """

    fps: int
    place: np.ndarray
    lost: np.ndarray
    silent: np.ndarray

    @classmethod
    def of(cls, places: list[Place], fps: int) -> Track:
        """From the places of all frames."""
        rows = np.array([(p.x, p.y, p.side, p.roll) for p in places], np.float32).reshape(-1, 4)
        lost, silent = (np.array([getattr(p, name) for p in places], bool) for name in ("lost", "silent"))
        return cls(fps, rows, lost, silent)


@dataclass(frozen=True)
class Window:
    """A part of a frame, gray (h,w), reduced by a whole factor; ``left`` and ``top`` in pixels of the frame."""

    picture: np.ndarray
    left: int
    top: int
    reduction: int


def mouth_crops(
    frames: Iterable[np.ndarray], tracker: Tracker, crop: Crop, fps: int, video: Path | None = None
) -> Iterator[MouthCrop]:
    """Track and crop a video in one pass, of any length: only the mouth's surroundings in some frames are in memory.

    Args:
        frames: RGB uint8 (H,W,3), at ``fps``.
        tracker: finds the mouth in them.
        crop: what to cut.
        fps: frames a second.
        video: the file that the frames come from, if any; for the tracker.

    Yields:
        A crop for each frame, as soon as ``crop.look_ahead_frames`` later ones were seen.
    """
    tracker.start(video, fps)
    steady = SteadyPlaces(fps, crop.eye_distances, crop.smoothing_seconds, crop.look_ahead_frames)
    windows: deque[Window] = deque()
    last, side = None, 0.0
    for frame in frames:
        mouth = tracker.update(frame)
        if mouth is not None:
            # A face that turns away shrinks for a moment only: the window follows slowly.
            last, side = mouth, max(side_of(mouth, crop.eye_distances), 0.99 * side)
        windows.append(_window(frame, last, side, crop.size))
        for place in steady.push(mouth):
            yield MouthCrop(_sample(windows.popleft(), place, crop.size), place)
    tracker.finish()
    for place in steady.finish():
        yield MouthCrop(_sample(windows.popleft(), place, crop.size), place)


def cut_mouth(
    frames: Iterable[np.ndarray], tracker: Tracker, crop: Crop, fps: int, video: Path | None = None
) -> tuple[np.ndarray, Track]:
    """All of :func:`mouth_crops`, for a clip to train on.

    Returns:
        crops, gray uint8 (T,S,S), and where they were cut.

    Raises:
        UserError: no frames, or the face is lost in more than ``crop.max_lost_share`` of them.
    """
    crops = list(mouth_crops(frames, tracker, crop, fps, video))
    if not crops:
        raise UserError("the video has no frames; fetch or record it again")
    track = Track.of([c.place for c in crops], fps)
    if track.silent.all() or track.lost.mean() > crop.max_lost_share:
        raise UserError(
            f"no face in {track.lost.mean():.0%} of the frames (crop.max_lost_share allows {crop.max_lost_share:.0%}); "
            "show the face from the front, or use another tracker"
        )
    return np.stack([c.picture for c in crops]), track


def _window(frame: np.ndarray, mouth: Mouth | None, side: float, size: int) -> Window:
    """The surroundings of the mouth; the whole frame where it is not known yet."""
    height, width = frame.shape[:2]
    if mouth is None:
        left, top, right, bottom = 0, 0, width, height
        reduction = math.ceil(max(height, width) / WHOLE_FRAME)
    else:
        reach = WINDOW * side / 2
        left, right = (int(np.clip(v, 0, width - 1)) for v in (mouth.x - reach, mouth.x + reach))
        top, bottom = (int(np.clip(v, 0, height - 1)) for v in (mouth.y - reach, mouth.y + reach))
        right, bottom = right + 1, bottom + 1
        reduction = max(1, min(int(side / size), right - left, bottom - top))
    red, green, blue = (frame[top:bottom, left:right, channel].astype(np.uint16) for channel in range(3))
    gray = ((77 * red + 150 * green + 29 * blue + 128) >> 8).astype(np.uint8)  # ITU-R BT.601 luma
    if reduction > 1:
        rows, columns = gray.shape[0] // reduction, gray.shape[1] // reduction
        blocks = gray[: rows * reduction, : columns * reduction].reshape(rows, reduction, columns, reduction)
        gray = blocks.mean((1, 3)).round().astype(np.uint8)
    return Window(gray, left, top, reduction)


def _sample(window: Window, place: Place, size: int) -> np.ndarray:
    """The crop (S,S) around a place in the frame: bilinear, and the mean of several points where it shrinks."""
    if place.silent:
        return np.full((size, size), GRAY, np.uint8)
    x, y, side, roll = place.x, place.y, place.side, place.roll
    points = max(1, math.ceil(side / (size * window.reduction) - 0.01))
    across = (np.arange(size * points) + 0.5) / (size * points) - 0.5
    step_x, step_y = side * math.cos(roll) * across, side * math.sin(roll) * across
    columns = (x + step_x[None, :] - step_y[:, None] - window.left) / window.reduction - 0.5
    rows = (y + step_y[None, :] + step_x[:, None] - window.top) / window.reduction - 0.5
    picture = _bilinear(window.picture, rows.astype(np.float32), columns.astype(np.float32))
    return (picture.reshape(size, points, size, points).mean((1, 3)) + 0.5).astype(np.uint8)


def _bilinear(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values between pixels, float32 of the shape of ``rows``; the border goes on beyond the picture."""
    height, width = picture.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = rows.astype(np.int32), columns.astype(np.int32)
    down, right = rows - top, columns - left
    flat = picture.ravel()
    here = top * width + left
    below = np.where(top < height - 1, width, 0)
    beside = np.where(left < width - 1, 1, 0)
    upper = flat[here] * (1 - right) + flat[here + beside] * right
    lower = flat[here + below] * (1 - right) + flat[here + below + beside] * right
    return upper * (1 - down) + lower * down
