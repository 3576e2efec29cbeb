"""The pixels of a mouth crop: a gray patch is kept of each frame, and resampled once the crop's box is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from v2skit.tracking.smoothing import CropBox
from v2skit.tracking.tracker import MouthPose

PATCH_SIDES = 2.0
"""Side of a patch in sides of the crop: the smoothed box may lie off the pose in its frame."""

MAX_WHOLE_FRAME = 480
"""Before the first face, patches are whole frames, downsampled to at most so many pixels a side."""

MAX_POINTS = 16
"""Along each side of a pixel of the crop, so that memory is bounded however large a tracker's box is."""

GRAY = 107
"""Value of a crop without a face: the mean of mouth crops, as in the time masks of training's augmentation."""


@dataclass(frozen=True)
class Patch:
    """A part of a frame.

    Args:
        pixels: gray uint8 (h,w), downsampled.
        left, top: its upper left corner, pixels of the frame.
        downsampling: integer factor.
    """

    pixels: np.ndarray
    left: int
    top: int
    downsampling: int


def cut_patch(frame: np.ndarray, mouth: MouthPose | None, side: float, size: int) -> Patch:
    """The surroundings of the mouth in a frame.

    Args:
        frame: RGB uint8 (H,W,3).
        mouth: the latest pose; None where no face was found yet: the patch is the whole frame.
        side: side of the crop in the frame, pixels.
        size: side of the stored crop, pixels: the patch need not have a higher resolution.
    """
    height, width = frame.shape[:2]
    if mouth is None:
        left, top, right, bottom = 0, 0, width, height
        downsampling = math.ceil(max(height, width) / MAX_WHOLE_FRAME)
    else:
        half = PATCH_SIDES * side / 2
        left, right = (int(np.clip(v, 0, width - 1)) for v in (mouth.x - half, mouth.x + half))
        top, bottom = (int(np.clip(v, 0, height - 1)) for v in (mouth.y - half, mouth.y + half))
        right, bottom = right + 1, bottom + 1
        downsampling = max(1, min(int(side / size), right - left, bottom - top))
    red, green, blue = (frame[top:bottom, left:right, channel].astype(np.uint16) for channel in range(3))
    gray = ((77 * red + 150 * green + 29 * blue + 128) >> 8).astype(np.uint8)  # ITU-R BT.601 luma
    if downsampling > 1:
        rows, columns = gray.shape[0] // downsampling, gray.shape[1] // downsampling
        kept = gray[: rows * downsampling, : columns * downsampling]
        gray = kept.reshape(rows, downsampling, columns, downsampling).mean((1, 3)).round().astype(np.uint8)
    return Patch(gray, left, top, downsampling)


def resample_crop(patch: Patch, box: CropBox, size: int) -> np.ndarray:
    """The mouth crop of a box: bilinear interpolation, averaged over a grid of points per pixel where it shrinks.

    Args:
        patch: of the same frame.
        box: in pixels of the frame.
        size: side of the crop, pixels.

    Returns:
        gray uint8 (size,size), upright; all of value GRAY where the box is ``silent``.
    """
    if box.silent:
        return np.full((size, size), GRAY, np.uint8)
    points = max(1, math.ceil(box.side / (size * patch.downsampling) - 0.01))  # of the grid, along each side of a pixel
    points = min(points, MAX_POINTS)
    offsets = (np.arange(size * points) + 0.5) / (size * points) - 0.5
    step_x, step_y = box.side * math.cos(box.roll) * offsets, box.side * math.sin(box.roll) * offsets
    columns = (box.x + step_x[None, :] - step_y[:, None] - patch.left) / patch.downsampling - 0.5
    rows = (box.y + step_y[None, :] + step_x[:, None] - patch.top) / patch.downsampling - 0.5
    sampled = _bilinear(patch.pixels, rows.astype(np.float32), columns.astype(np.float32))
    return (sampled.reshape(size, points, size, points).mean((1, 3)) + 0.5).astype(np.uint8)


def _bilinear(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values between pixels (h,w), float32 of the shape of ``rows``; edge pixels are repeated beyond the border."""
    height, width = pixels.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = rows.astype(np.int32), columns.astype(np.int32)
    down, right = rows - top, columns - left
    flat = pixels.ravel()
    corner = top * width + left
    below = np.where(top < height - 1, width, 0)
    beside = np.where(left < width - 1, 1, 0)
    upper = flat[corner] * (1 - right) + flat[corner + beside] * right
    lower = flat[corner + below] * (1 - right) + flat[corner + below + beside] * right
    return upper * (1 - down) + lower * down
