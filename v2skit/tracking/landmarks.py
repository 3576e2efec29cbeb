"""Landmarks from a file, as face trackers of all kinds leave them."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from v2skit.errors import UserError
from v2skit.media.decode import on_clock, opened, tick_of, video_in
from v2skit.tracking.tracker import Mouth

LAYOUTS = {
    5: ([0], [1], [3, 4]),
    68: ([36, 39], [42, 45], [48, 54]),
    468: ([33, 133], [362, 263], [61, 291]),
    478: ([33, 133], [362, 263], [61, 291]),
}
"""Number of points -> those whose means are the eyes, left and right as seen, and the mouth: five points (eyes, nose,
corners of the mouth), iBUG's 68, MediaPipe's mesh without and with irises. The corners of the mouth move less in
speech than the lips between them."""


class Landmarks:
    """Reads ``<stem of the video>.npy``: float (T, P, 2), pixels of the upright frame, NaN where there is no face.

    P is 5 (eyes, nose, mouth corners), 68 (iBUG), 468 or 478 (MediaPipe); there is a row for each frame of the file.

    Args:
        folder: of the files; empty: that of the video.
    """

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def start(self, video: Path | None, fps: int) -> None:
        """Open the video's file. Raises UserError where there is none, or where it is not as above."""
        if video is None:
            raise UserError("tracker 'landmarks' needs a video file, whose name tells which landmarks are its")
        path = (Path(self.folder) if self.folder else video.parent) / f"{video.stem}.npy"
        try:
            self._points = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"landmarks {path} can't be read ({error}); save them there with numpy.save") from error
        shape: tuple[int, ...] = getattr(self._points, "shape", None) or ()
        right = len(shape) == 3 and shape[0] and shape[1] in LAYOUTS and shape[2] in (2, 3)
        if not right or self._points.dtype.kind not in "fiu":
            raise UserError(f"landmarks {path} have shape {shape}; needed: (frames, {'|'.join(map(str, LAYOUTS))}, 2)")
        self._rows = iter(_rows(video, fps))
        self._path, self._last = path, 0

    def update(self, frame: np.ndarray) -> Mouth | None:
        """RGB (H,W,3) -> the mouth. Raises UserError where the file ends too early."""
        self._last = row = next(self._rows, self._last)
        if row >= len(self._points):
            count = len(self._points)
            raise UserError(f"landmarks {self._path} end after {count} frames, the video goes on; make them anew")
        return mouth_of(self._points[row, :, :2])

    def finish(self) -> None:
        """Nothing is left to say."""


def mouth_of(points: np.ndarray) -> Mouth | None:
    """The mouth among points (P,2) of one of ``LAYOUTS``, in pixels; None where one that is needed is not finite."""
    right, left, mouth = (points[group].mean(0, dtype=np.float64) for group in LAYOUTS[len(points)])
    if not np.isfinite([right, left, mouth]).all():
        return None
    across, down = left - right
    return Mouth(float(mouth[0]), float(mouth[1]), math.hypot(across, down), math.atan2(down, across))


def _rows(video: Path, fps: int) -> list[int]:
    """The number of the file's frame that is shown at each tick, from the times in the file."""
    with opened(video) as container:
        stream = video_in(container, video)
        stated = sorted(p.pts for p in container.demux(stream) if p.size and p.pts is not None)
        step = 1 / (stream.average_rate or Fraction(fps))
        times = [pts * tick_of(stream) for pts in stated]
    ends = [*times[1:], times[-1] + step] if times else []
    return list(on_clock(((time, end - time, row) for row, (time, end) in enumerate(zip(times, ends))), fps))
