"""Steady mouth crops: of constant scale, upright, without the tracker's jitter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterable

import numpy as np

from v2skit.errors import UserError
from v2skit.trackers import Mouth, Tracker

WINDOW = 2.0
"""Side of what is kept of a frame until the crop's place is known, in sides of the crop."""

WHOLE_FRAME = 480
"""Frames before the first face are kept whole, reduced to at most this many pixels a side."""


@dataclass(frozen=True)
class Crop:
    """The mouth crop; the same for training and for synthesis.

    Args:
        size: side of the stored crop, pixels.
        eye_distances: side of the crop on the face, in distances between the eyes.
        smoothing_seconds: length of the Hann window that smooths place and roll; 0: none.
        max_lost_share: share of a clip's frames in which no face may be found; their place is interpolated.
    """

    size: int = 96
    eye_distances: float = 1.5
    smoothing_seconds: float = 0.4
    max_lost_share: float = 0.2

    def __post_init__(self) -> None:
        if self.size < 8 or self.size % 2 or self.eye_distances <= 0 or self.smoothing_seconds < 0:
            raise UserError("crop: needs an even size of at least 8, eye_distances > 0 and smoothing_seconds >= 0")
        if not 0 <= self.max_lost_share <= 1:
            raise UserError(f"crop: max_lost_share {self.max_lost_share} must lie in 0..1")


@dataclass(frozen=True)
class MouthCrops:
    """Crops gray uint8 (T,S,S), one for each frame of the video, and in which of them the face was lost, bool (T,)."""

    frames: np.ndarray
    lost: np.ndarray


@dataclass(frozen=True)
class Window:
    """A part of a frame, gray (h,w), reduced by a whole factor; ``left`` and ``top`` in pixels of the frame."""

    picture: np.ndarray
    left: int
    top: int
    reduction: int


def cut_mouth(frames: Iterable[np.ndarray], tracker: Tracker, crop: Crop, fps: int) -> MouthCrops:
    """Track and crop a video in one pass; of each frame only the mouth's surroundings stay in memory.

    Args:
        frames: RGB uint8 (H,W,3), at ``fps``.
        tracker: finds the mouth in them.
        crop: what to cut.
        fps: frames a second.

    Raises:
        UserError: no frames, or the face is lost in more than ``crop.max_lost_share`` of them.
    """
    tracker.start()
    mouths: list[Mouth | None] = []
    windows: list[Window] = []
    last, side = None, 0.0
    for frame in frames:
        mouth = tracker.update(frame)
        if mouth is not None:
            # A face that turns away shrinks for a moment only: the window follows slowly.
            last, side = mouth, max(_side(mouth, crop), 0.99 * side)
        mouths.append(mouth)
        windows.append(_window(frame, last, side, crop.size))
    if not windows:
        raise UserError("the video has no frames; fetch or record it again")
    lost = np.array([m is None for m in mouths])
    if lost.all() or lost.mean() > crop.max_lost_share:
        raise UserError(
            f"no face in {lost.mean():.0%} of the frames (crop.max_lost_share allows {crop.max_lost_share:.0%}); "
            "show the face from the front, or use another tracker"
        )
    place, side = _steady_place(mouths, crop, fps)
    pictures = [_sample(w, x, y, roll, side, crop.size) for w, (x, y, roll) in zip(windows, place, strict=True)]
    return MouthCrops(np.stack(pictures), lost)


def _side(mouth: Mouth, crop: Crop) -> float:
    return crop.eye_distances * mouth.eye_distance if mouth.side is None else mouth.side


def _steady_place(mouths: list[Mouth | None], crop: Crop, fps: int) -> tuple[np.ndarray, float]:
    """Centre x, y and roll of each frame (T,3), and the side of the crop for the whole clip, pixels."""
    found = [t for t, mouth in enumerate(mouths) if mouth is not None]
    tracked = np.array([(mouths[t].x, mouths[t].y, mouths[t].roll) for t in found])
    tracked[:, 2] = np.unwrap(tracked[:, 2])
    frames = np.arange(len(mouths))
    half = round(crop.smoothing_seconds * fps / 2)
    weights = np.hanning(2 * half + 3)[1:-1]
    share = np.convolve(np.ones(len(frames)), weights)[half : half + len(frames)]
    place = [
        np.convolve(np.interp(frames, found, column), weights)[half : half + len(frames)] / share
        for column in tracked.T
    ]
    return np.stack(place, 1), float(np.median([_side(mouths[t], crop) for t in found]))


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


def _sample(window: Window, x: float, y: float, roll: float, side: float, size: int) -> np.ndarray:
    """The crop (S,S) around a place in the frame: bilinear, and the mean of several points where it shrinks."""
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
