"""No tracking: for corpora that are distributed as mouth crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from v2skit.tracking.tracker import MouthPose


class NoTracker:
    """Takes each frame for a mouth crop: its central square is resized to the stored size."""

    def start(self, video: Path | None, fps: int) -> None:
        """Nothing to do: there is no state."""

    def update(self, frame: np.ndarray) -> MouthPose:
        """RGB uint8 (H,W,3) -> its central square."""
        height, width = frame.shape[:2]
        return MouthPose(width / 2, height / 2, side=min(height, width))

    def finish(self) -> None:
        """Nothing to check."""
