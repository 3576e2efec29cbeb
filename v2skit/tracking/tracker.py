"""The tracker protocol: the mouth's pose in each frame, from which :mod:`v2skit.tracking.crop` makes stable crops."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from v2skit.errors import UserError

MAX_SIDE = 100
"""Side of a crop, in sides of its frame."""


@dataclass(frozen=True)
class MouthPose:
    """Position, scale and in-plane rotation of the mouth in one frame.

    Coordinates are pixels from the upper left corner of the upright frame; y grows downwards.

    Args:
        x, y: centre of the mouth.
        eye_distance: distance between the centres of the eyes, pixels; the side of the crop is proportional to it.
        roll: angle of the line through the eyes, radians, clockwise as seen.
        side: side of the crop, pixels, where the tracker determines it; ``eye_distance`` is then not used.
    """

    x: float
    y: float
    eye_distance: float = 0.0
    roll: float = 0.0
    side: float | None = None


class Tracker(Protocol):
    """A tracker component: it processes the frames of one video after the other, in order.

    Its constructor arguments are the keys of its config section.
    """

    def start(self, video: Path | None, fps: int) -> None:
        """Begin a new video and discard all state of the previous one.

        Args:
            video: the file that the frames are decoded from; None where they come from elsewhere, such as a camera.
            fps: frames a second.

        Raises:
            UserError: the tracker cannot process this video, for example because its landmarks are missing.
        """

    def update(self, frame: np.ndarray) -> MouthPose | None:
        """Locate the mouth in the next frame.

        Args:
            frame: upright, RGB uint8 (H,W,3).

        Returns:
            the pose, or None where no face is found.

        Raises:
            UserError: the frame cannot be processed.
        """

    def finish(self) -> None:
        """End the video.

        Raises:
            UserError: the video as a whole lacks what the tracker was configured to find.
        """


def check_pose(pose: Any, tracker: Tracker, frame: np.ndarray, eye_distances: float) -> None:
    """Check what a tracker returned.

    Args:
        pose: of the mouth in the frame, or None.
        tracker: that returned it.
        frame: RGB uint8 (H,W,3).
        eye_distances: side of a crop in distances between the eyes.

    Raises:
        UserError: it is no pose, or it is not finite, or the crop's side is negative or far larger than the frame.
    """
    if pose is None:
        return
    name = f"tracker {type(tracker).__name__}"
    if not isinstance(pose, MouthPose):
        raise UserError(f"{name} output {type(pose).__name__} instead of a MouthPose or None; correct the tracker")
    values = (pose.x, pose.y, pose.roll, eye_distances * pose.eye_distance if pose.side is None else pose.side)
    try:
        finite = all(map(math.isfinite, values))
    except TypeError:
        finite = False
    if not finite:
        raise UserError(
            f"{name} output a pose that is not finite ({pose}); give finite numbers, or None without a face"
        )
    if not 0 <= values[-1] <= MAX_SIDE * max(frame.shape[:2]):
        raise UserError(
            f"{name} output a crop of side {values[-1]:g} in a frame of {frame.shape[1]}x{frame.shape[0]}; "
            "give pixels of the frame"
        )
