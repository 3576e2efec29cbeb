"""Crops of whole faces as SyncNet was trained on them: 224 pixels at 25 frames/s, from forehead to below the chin."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from v2skit.evaluation.metrics import MetricError
from v2skit.media.video import read_video
from v2skit.tracking.tracker import MouthPose, Tracker

FPS, SIDE = 25, 224
MARGIN = 0.4
"""SyncNet's ``crop_scale``: what the crop has on both sides of the face, in halves of its box, and twice that below."""

ABOVE_MOUTH, HALF_BOX = 0.8, 1.5
"""Where a face detector's box lies, in distances between the eyes: its centre above the mouth, and half its side."""

MEDIAN_FRAMES, BORDER = 13, 110
"""Frames of the median filter that smooths the box, and the grey value beyond the frame."""

MAX_LOST_SHARE = 0.5


def read_face_crops(video: Path, tracker: Tracker, frames: int) -> np.ndarray:
    """The face of a video.

    Args:
        video: with the whole face.
        tracker: that follows the mouth.
        frames: to read, at 25 frames/s.

    Returns:
        RGB uint8 (T,224,224,3), at most so many.

    Raises:
        UserError: the video can't be read.
        MetricError: there is no face in more than half of the frames.
    """
    pictures: list[np.ndarray] = []
    poses: list[MouthPose | None] = []
    tracker.start(video, FPS)
    for frame in read_video(video, FPS):
        if len(pictures) == frames:
            break
        pictures.append(frame)
        poses.append(tracker.update(frame))
    boxes = face_boxes(poses)
    return np.stack([_crop(picture, *box) for picture, box in zip(pictures, boxes, strict=True)])


def face_boxes(poses: Iterable[MouthPose | None]) -> np.ndarray:
    """Poses of the mouth in T frames -> centre and half side of the face's box (T,3), pixels, smoothed; interpolated in
    frames without a face. Raises MetricError where these are more than half."""
    found = [None if pose is None else _box(pose) for pose in poses]
    there = [number for number, box in enumerate(found) if box is not None]
    if len(there) < max(1, (1 - MAX_LOST_SHARE) * len(found)):
        raise MetricError(f"no face in {len(found) - len(there)} of the video's {len(found)} frames")
    known = np.array([box for box in found if box is not None])
    columns = [np.interp(range(len(found)), there, column) for column in known.T]
    from scipy.signal import medfilt

    half = MEDIAN_FRAMES // 2
    padded = (np.pad(column, half, mode="edge") for column in columns)
    return np.stack([medfilt(column, MEDIAN_FRAMES)[half : half + len(found)] for column in padded], axis=1)


def _box(pose: MouthPose) -> tuple[float, float, float]:
    up = ABOVE_MOUTH * pose.eye_distance
    return pose.x + up * math.sin(pose.roll), pose.y - up * math.cos(pose.roll), HALF_BOX * pose.eye_distance


def _crop(frame: np.ndarray, x: float, y: float, half: float) -> np.ndarray:
    """RGB uint8 (H,W,3) -> (224,224,3): the box with its margins, the head upright as it is in the frame."""
    border = int(half * (1 + 2 * MARGIN))
    padded = np.pad(frame, ((border, border), (border, border), (0, 0)), constant_values=BORDER)
    top, bottom = int(y + border - half), int(y + border + half * (1 + 2 * MARGIN))
    left, right = (int(x + border + sign * half * (1 + MARGIN)) for sign in (-1, 1))
    part = padded[max(0, top) : bottom, max(0, left) : right]
    if not part.size:
        raise MetricError("the face lies outside of the frame")
    picture = torch.from_numpy(part.copy()).permute(2, 0, 1)[None].float()  # (h,w,3) -> (1,3,h,w)
    sized = interpolate(picture, (SIDE, SIDE), mode="bilinear", align_corners=False)[0]
    return sized.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
