"""A tracker finds the mouth in each frame of a video; :mod:`v2skit.tracking.crop` makes steady crops of that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Mouth:
    """Where the mouth is in one frame. Pixels from the frame's upper left corner; y grows downwards.

    Args:
        x, y: centre of the mouth.
        eye_distance: between the centres of the eyes; it sets the size of the crop.
        roll: angle of the line through the eyes, radians, clockwise as seen.
        side: side of the crop where the tracker knows it; ``eye_distance`` then does not count.
    """

    x: float
    y: float
    eye_distance: float = 0.0
    roll: float = 0.0
    side: float | None = None


class Tracker(Protocol):
    """A tracker component. Its constructor takes only what its config section says."""

    def start(self, video: Path | None, fps: int) -> None:
        """A new video begins, ``fps`` frames a second of which will follow: forget the last one.

        ``video`` is its file, or None where the frames come from elsewhere. Raises UserError where that can't be.
        """

    def update(self, frame: np.ndarray) -> Mouth | None:
        """The mouth in the next frame, RGB uint8 (H,W,3), of the video; None where there is no face."""

    def finish(self) -> None:
        """The video is over. Raises UserError where what it was to find was not in it."""
