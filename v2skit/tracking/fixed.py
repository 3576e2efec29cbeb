"""A constant crop box, for a camera and a head that do not move."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from v2skit.errors import UserError
from v2skit.tracking.tracker import MouthPose


class Fixed:
    """The same square in every frame.

    Args:
        x: of the square's centre, pixels from the left of the upright frame, whose pixels are square.
        y: of the square's centre, pixels from the top.
        side: of the square, pixels.

    Raises:
        UserError: the side is not positive, or a number is not finite.
    """

    def __init__(self, x: float, y: float, side: float) -> None:
        if side <= 0:
            raise UserError(f"side {side} must be positive")
        if not all(map(math.isfinite, (x, y, side))):
            raise UserError(f"x {x}, y {y} and side {side} must be finite; give them in pixels")
        self._mouth = MouthPose(x, y, side=side)

    def start(self, video: Path | None, fps: int) -> None:
        """Nothing to do: there is no state."""

    def update(self, frame: np.ndarray) -> MouthPose:
        """RGB uint8 (H,W,3) -> the square.

        Raises:
            UserError: its centre is outside the frame.
        """
        height, width = frame.shape[:2]
        if not (0 <= self._mouth.x < width and 0 <= self._mouth.y < height):
            raise UserError(
                f"the box around ({self._mouth.x:g}, {self._mouth.y:g}) is outside the frame of {width}x{height}; give "
                "its centre in pixels from the upper left corner"
            )
        return self._mouth

    def finish(self) -> None:
        """Nothing to check."""
