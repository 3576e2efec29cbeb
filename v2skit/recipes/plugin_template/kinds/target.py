"""A target: classes of loudness."""

import numpy as np

from v2skit.config.features import Clock
from v2skit.config.limits import Depth


class MyComponent:
    """The loudness of each video frame as one of several classes, which a head ``units`` can predict.

    Args:
        clock: given by the toolkit.
        clusters: number of classes.
        range_db: from the quietest class to full scale, dB.
    """

    rate, dtype = "frame", "int32"  # whole numbers; per_frame of them for each video frame
    per_frame = 1

    def __init__(self, clock: Clock, clusters: Depth = 8, range_db: float = 64.0) -> None:
        self.samples, self.clusters, self.range_db = clock.samples_per_frame, clusters, range_db

    def compute(self, waveform: np.ndarray, text: str | None) -> np.ndarray:
        """Waveform (N,) -> classes (T,), N = T * samples."""
        power = np.square(waveform.reshape(-1, self.samples)).mean(axis=1)
        level = (
            10 * np.log10(np.maximum(power, 1e-10)) / self.range_db + 1
        )  # 0 for the quietest class, 1 for full scale
        return np.clip(level * self.clusters, 0, self.clusters - 1).astype(np.int32)
