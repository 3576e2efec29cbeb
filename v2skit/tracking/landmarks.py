"""Facial landmarks that another program has written to a file."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from v2skit.errors import UserError
from v2skit.media.container import open_container, require_video_stream, time_base
from v2skit.media.faults import readable
from v2skit.media.timestamps import resample_frames
from v2skit.tracking.tracker import MouthPose

LAYOUTS = {
    5: ([0], [1], [3, 4]),
    68: ([36, 39], [42, 45], [48, 54]),
    468: ([33, 133], [362, 263], [61, 291]),
    478: ([33, 133], [362, 263], [61, 291]),
}
"""Number of landmarks -> indices of those whose means are the eye on the left as seen, the one on the right, and the
mouth: five landmarks (eyes, nose, corners of the mouth), iBUG's 68, MediaPipe's mesh without and with irises. The
corners of the mouth move less in speech than the lips between them."""


class Landmarks:
    """Reads ``<stem of the video>.npy``: float (T, P, 2), pixels of the upright frame, NaN without a face.

    The pixels are square. P is 5 (eyes, nose, mouth corners), 68 (iBUG), 468 or 478 (MediaPipe); T is the number of
    frames in the file.

    Args:
        folder: of the .npy files; empty: the folder of the video.
    """

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def start(self, video: Path | None, fps: int) -> None:
        """Read the landmarks of a video.

        Raises:
            UserError: there is no video file or no landmarks file, or that has another shape.
        """
        if video is None:
            raise UserError("tracker 'landmarks' needs a video file, whose name is that of the landmarks")
        path = (Path(self.folder) if self.folder else video.parent) / f"{video.stem}.npy"
        try:
            self._points = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"landmarks {path} can't be read ({error}); save them there with numpy.save") from error
        shape: tuple[int, ...] = getattr(self._points, "shape", None) or ()
        valid = len(shape) == 3 and shape[0] and shape[1] in LAYOUTS and shape[2] in (2, 3)
        if not valid or self._points.dtype.kind not in "fiu":
            raise UserError(f"landmarks {path} have shape {shape}; needed: (frames, {'|'.join(map(str, LAYOUTS))}, 2)")
        self._rows = iter(_rows(video, fps))
        self._path, self._last = path, 0

    def update(self, frame: np.ndarray) -> MouthPose | None:
        """The pose in the next frame, from its landmarks; None where they are NaN.

        Raises:
            UserError: the file has fewer frames than the video.
        """
        self._last = row = next(self._rows, self._last)
        if row >= len(self._points):
            count = len(self._points)
            raise UserError(f"landmarks {self._path} end after {count} frames, the video is longer; create them again")
        return mouth_of(self._points[row, :, :2])

    def finish(self) -> None:
        """Nothing to check."""


def mouth_of(points: np.ndarray) -> MouthPose | None:
    """The mouth's pose from landmarks (P,2) of one of LAYOUTS, pixels; None where one that it needs is not finite."""
    right, left, mouth = (points[group].mean(0, dtype=np.float64) for group in LAYOUTS[len(points)])
    if not np.isfinite([right, left, mouth]).all():
        return None
    across, down = left - right
    return MouthPose(float(mouth[0]), float(mouth[1]), math.hypot(across, down), math.atan2(down, across))


def _rows(video: Path, fps: int) -> list[int]:
    """Index of the file's frame at each frame of the constant rate ``fps``, from the timestamps of its packets."""
    with open_container(video) as container, readable(video):
        stream = require_video_stream(container, video)
        stated = sorted(p.pts for p in container.demux(stream) if p.size and p.pts is not None)
        step = 1 / (stream.average_rate or Fraction(fps))
        times = [pts * time_base(stream) for pts in stated]
    ends = [*times[1:], times[-1] + step] if times else []
    return list(
        resample_frames(((time, end - time, row) for row, (time, end) in enumerate(zip(times, ends))), fps, video)
    )
