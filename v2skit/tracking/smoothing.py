"""From a tracker's unsteady places to steady ones, frame by frame, with as much look-ahead as is allowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from v2skit.tracking.tracker import Mouth

SCALE_SECONDS = 10.0
"""The crop's side is the median over so long before and after a frame: one and the same for a clip of that length."""

GAP_SECONDS = 0.5
"""The place is interpolated over shorter losses of the face; in longer ones there is none, and no speech."""


@dataclass(frozen=True)
class Place:
    """Where a frame's crop is.

    Args:
        x, y: its centre, pixels of the frame.
        side: its side, pixels of the frame.
        roll: its angle, radians, clockwise as seen.
        lost: no face was found in this frame.
        silent: the face is lost for so long that the place means nothing; the place is then NaN.
    """

    x: float
    y: float
    side: float
    roll: float
    lost: bool
    silent: bool


def side_of(mouth: Mouth, eye_distances: float) -> float:
    """The side of the crop around a mouth, pixels."""
    return eye_distances * mouth.eye_distance if mouth.side is None else mouth.side


class SteadyPlaces:
    """Takes what a tracker finds in each frame and gives steady places, as soon as they are known.

    Args:
        fps: frames a second.
        eye_distances: the side of the crop in distances between the eyes.
        smoothing_seconds: of the Hann window over place and roll.
        look_ahead_frames: later frames that a place may depend on; None: as many as serve it.
    """

    def __init__(
        self, fps: int, eye_distances: float, smoothing_seconds: float, look_ahead_frames: int | None = None
    ) -> None:
        self.eye_distances = eye_distances
        self.half = round(smoothing_seconds * fps / 2)
        self.gap = round(GAP_SECONDS * fps)
        self.scale = round(SCALE_SECONDS * fps)
        self.weights = np.hanning(2 * self.half + 3)[1:-1]
        self.reach = max(self.scale, self.half + self.gap + 1)
        self.ahead = self.reach if look_ahead_frames is None else min(look_ahead_frames, self.reach)
        self._rows = np.empty((8 * self.reach, 4))  # x, y, roll, side; NaN where there is no face
        self._first, self._known, self._next = 0, 0, 0  # frames: of the first row, that were told, to be given

    def push(self, mouth: Mouth | None) -> list[Place]:
        """Tell of the next frame. Returns the places of the frames that are now known, in order."""
        if self._known - self._first == len(self._rows):
            kept = max(self._first, self._next - self.reach)
            self._rows[: self._known - kept] = self._rows[kept - self._first :].copy()
            self._first = kept
        self._rows[self._known - self._first] = (
            np.nan if mouth is None else (mouth.x, mouth.y, mouth.roll, side_of(mouth, self.eye_distances))
        )
        self._known += 1
        return self._take(self._known - self.ahead)

    def finish(self) -> list[Place]:
        """There are no more frames. Returns the places of the rest."""
        return self._take(self._known)

    def _take(self, end: int) -> list[Place]:
        places = [self._place(frame) for frame in range(self._next, end)]
        self._next = max(self._next, end)
        return places

    def _between(self, start: int, end: int) -> np.ndarray:
        """Rows of the frames from ``start`` to before ``end``, as far as they are known and there."""
        return self._rows[max(start - self._first, 0) : end - self._first]

    def _place(self, frame: int) -> Place:
        known = min(self._known, frame + self.ahead + 1)
        start = max(frame - self.half - self.gap - 1, 0)
        rows = self._between(start, min(known, frame + self.half + self.gap + 2))
        lost = np.isnan(rows[:, 0])
        here = frame - start
        first, last = self._stretch(lost, here)
        found = first + np.flatnonzero(~lost[first:last])
        if not len(found):
            return Place(np.nan, np.nan, np.nan, np.nan, True, True)
        first, last = max(first, here - self.half), min(last, here + self.half + 1)
        weights = self.weights[first - here + self.half : last - here + self.half]
        tracked = rows[found, :3]
        tracked[:, 2] = np.unwrap(tracked[:, 2])
        frames = np.arange(first, last)
        x, y, roll = (np.interp(frames, found, column) @ weights / weights.sum() for column in tracked.T)
        sides = self._between(frame - self.scale, min(known, frame + self.scale + 1))[:, 3]
        side = np.median(sides[~np.isnan(sides)])
        return Place(float(x), float(y), float(side), float(roll), bool(lost[here]), False)

    def _stretch(self, lost: np.ndarray, here: int) -> tuple[int, int]:
        """The frames around ``here`` without a long loss, from and to before; none where ``here`` is in one."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8)))
        first, last = 0, len(lost)
        for begin, end in edges.reshape(-1, 2):
            if end - begin <= self.gap:
                continue
            if begin <= here < end:
                return here, here
            if end <= here:
                first = end
            else:
                return first, begin
        return first, last
