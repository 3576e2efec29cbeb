"""A plot of the track of the mouth crop, as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from v2skit.errors import UserError
from v2skit.tracking.crop import Track

_SIZE_INCHES, _DOTS_PER_INCH = (8.0, 2.1), 100


def track_picture(path: Path, track: Track) -> None:
    """Plot position and side of the mouth crop over time; segments without a face are shaded, silent ones darker.

    Args:
        path: of the .png file.
        track: of a video.

    Raises:
        UserError: the track has no frames.
    """
    if not len(track.boxes):
        raise UserError("a track without frames can't be drawn; give that of a video with frames")
    figure = Figure(_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    axis = figure.subplots()
    seconds = (np.arange(len(track.boxes)) + 0.5) / track.fps
    for name, pixels in zip(("x", "y", "side"), track.boxes.T):
        axis.plot(seconds, pixels, label=name)
    for name, where, gray in (("no face", track.lost & ~track.silent, "0.85"), ("silent", track.silent, "0.65")):
        if where.any():
            segments = [(start / track.fps, (end - start) / track.fps) for start, end in _segments(where)]
            whole_height = axis.get_xaxis_transform()
            axis.broken_barh(segments, (0, 1), transform=whole_height, color=gray, lw=0, label=name, zorder=0)
    axis.set_xlim(0, len(track.boxes) / track.fps)
    axis.set_xlabel("s")
    axis.set_ylabel("pixels")
    axis.set_title("mouth", loc="left", fontsize="medium")
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=5, frameon=False, borderaxespad=0, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")


def _segments(where: np.ndarray) -> np.ndarray:
    """Runs of true values in bool (T,) -> first frame and the frame after the last one, (n,2)."""
    return np.flatnonzero(np.diff(where.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
