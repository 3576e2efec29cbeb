"""No tracking: for corpora that are mouth crops already."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from v2skit.tracking.tracker import Mouth


class NoTracker:
    """Frames that are mouth crops already: their central square is only resized to the stored size."""

    def start(self, video: Path | None, fps: int) -> None:
        """There is nothing to forget."""

    def update(self, frame: np.ndarray) -> Mouth:
        """RGB (H,W,3) -> its central square."""
        height, width = frame.shape[:2]
        return Mouth(width / 2, height / 2, side=min(height, width))

    def finish(self) -> None:
        """Nothing is left to say."""
