"""A tracker of the mouth."""

from pathlib import Path

import numpy as np

from v2skit.config.limits import Share
from v2skit.tracking.tracker import MouthPose


class MyComponent:
    """The mouth is where the picture changes: the mean position of changes, weighted by their size.

    Args:
        side: of the crop, as a share of the height of the frame.
        smoothing: weight of the earlier frames in the position, from 0 to below 1.
    """

    def __init__(self, side: Share = 1.0, smoothing: float = 0.9) -> None:
        self.side, self.smoothing = side, smoothing

    def start(self, video: Path | None, fps: int) -> None:
        """Begin a new video: nothing of the one before remains."""
        self.before: np.ndarray | None = None
        self.position: np.ndarray | None = None

    def update(self, frame: np.ndarray) -> MouthPose | None:
        """RGB uint8 (H,W,3) -> the mouth's pose in pixels."""
        grey = frame.mean(axis=2)  # (H, W)
        change = np.abs(grey - (grey if self.before is None else self.before)) + 1e-3
        where = np.array([change.sum(0) @ np.arange(grey.shape[1]), change.sum(1) @ np.arange(grey.shape[0])])
        where /= change.sum()  # (x, y)
        before = where if self.position is None else self.position
        self.before, self.position = grey, self.smoothing * before + (1 - self.smoothing) * where
        return MouthPose(float(self.position[0]), float(self.position[1]), side=self.side * len(grey))

    def finish(self) -> None:
        """End the video."""
