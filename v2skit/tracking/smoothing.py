"""Temporal smoothing of a tracker's poses into crop boxes, online, with as much look-ahead as is allowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from v2skit.tracking.tracker import MouthPose

SCALE_SECONDS = 10.0
"""A crop's side is the median over so long before and after its frame: it is constant in a clip of that length."""

MAX_GAP_SECONDS = 0.5
"""Boxes are interpolated where the face is lost for no longer; in longer gaps there is no box, and silence."""


@dataclass(frozen=True)
class CropBox:
    """The rotated square of a frame that becomes its mouth crop.

    Args:
        x, y: centre, pixels of the frame.
        side: side, pixels of the frame.
        roll: angle, radians, clockwise as seen.
        lost: no face was found in this frame; the box is interpolated.
        silent: the face is lost for longer than MAX_GAP_SECONDS: the box is NaN and the speech is silent.
    """

    x: float
    y: float
    side: float
    roll: float
    lost: bool
    silent: bool


def crop_side(mouth: MouthPose, eye_distances: float) -> float:
    """Side of the crop around a mouth, pixels.

    Args:
        mouth: its pose.
        eye_distances: side of the crop in distances between the eyes.
    """
    return eye_distances * mouth.eye_distance if mouth.side is None else mouth.side


class CropBoxSmoother:
    """Poses in, frame by frame; smoothed crop boxes out, each as soon as its right context is complete.

    Position and roll are interpolated over short gaps and smoothed with a Hann window, which is truncated at the ends
    of the video and at long gaps; the side is a running median.

    Args:
        fps: frames a second.
        eye_distances: side of the crop in distances between the eyes.
        smoothing_seconds: length of the Hann window.
        look_ahead_frames: later frames that a box may depend on; None: all that the windows include.
    """

    def __init__(
        self, fps: int, eye_distances: float, smoothing_seconds: float, look_ahead_frames: int | None = None
    ) -> None:
        self.eye_distances = eye_distances
        self.half_window = round(smoothing_seconds * fps / 2)
        self.max_gap = round(MAX_GAP_SECONDS * fps)
        self.scale_window = round(SCALE_SECONDS * fps)
        self.window = np.hanning(2 * self.half_window + 3)[1:-1]
        self.context = max(self.scale_window, self.half_window + self.max_gap + 1)
        self.look_ahead = self.context if look_ahead_frames is None else min(look_ahead_frames, self.context)
        self._poses = np.empty((8 * self.context, 4))  # x, y, roll, side; NaN where there is no face
        self._first = 0  # frame of the first row of _poses
        self._received, self._returned = 0, 0  # frames

    def push(self, mouth: MouthPose | None) -> list[CropBox]:
        """Add the pose in the next frame, None where no face was found.

        Returns:
            the boxes that are thereby complete, in the order of the frames.
        """
        if self._received - self._first == len(self._poses):
            first_kept = max(self._first, self._returned - self.context)
            self._poses[: self._received - first_kept] = self._poses[first_kept - self._first :].copy()
            self._first = first_kept
        self._poses[self._received - self._first] = (
            np.nan if mouth is None else (mouth.x, mouth.y, mouth.roll, crop_side(mouth, self.eye_distances))
        )
        self._received += 1
        return self._boxes_until(self._received - self.look_ahead)

    def finish(self) -> list[CropBox]:
        """End the video.

        Returns:
            the boxes of all remaining frames.
        """
        return self._boxes_until(self._received)

    def _boxes_until(self, end: int) -> list[CropBox]:
        boxes = [self._box(frame) for frame in range(self._returned, end)]
        self._returned = max(self._returned, end)
        return boxes

    def _poses_between(self, start: int, end: int) -> np.ndarray:
        """Poses (n,4) of the frames from ``start`` to before ``end``, as far as they are received and kept."""
        return self._poses[max(start - self._first, 0) : end - self._first]

    def _box(self, frame: int) -> CropBox:
        available = min(self._received, frame + self.look_ahead + 1)
        start = max(frame - self.half_window - self.max_gap - 1, 0)
        poses = self._poses_between(start, min(available, frame + self.half_window + self.max_gap + 2))
        lost = np.isnan(poses[:, 0])
        centre = frame - start
        first, last = self._segment(lost, centre)
        found = first + np.flatnonzero(~lost[first:last])
        if not len(found):
            return CropBox(np.nan, np.nan, np.nan, np.nan, True, True)
        first, last = max(first, centre - self.half_window), min(last, centre + self.half_window + 1)
        weights = self.window[first - centre + self.half_window : last - centre + self.half_window]
        tracked = poses[found, :3]
        tracked[:, 2] = np.unwrap(tracked[:, 2])
        frames = np.arange(first, last)
        x, y, roll = (np.interp(frames, found, column) @ weights / weights.sum() for column in tracked.T)
        sides = self._poses_between(frame - self.scale_window, min(available, frame + self.scale_window + 1))[:, 3]
        side = np.median(sides[~np.isnan(sides)])
        return CropBox(float(x), float(y), float(side), float(roll), bool(lost[centre]), False)

    def _segment(self, lost: np.ndarray, frame: int) -> tuple[int, int]:
        """The frames around ``frame`` that no long gap separates from it: the first one, and the one after the last;
        an empty segment where ``frame`` is in a long gap."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8)))
        first, last = 0, len(lost)
        for begin, end in edges.reshape(-1, 2):
            if end - begin <= self.max_gap:
                continue
            if begin <= frame < end:
                return frame, frame
            if end <= frame:
                first = end
            else:
                return first, begin
        return first, last
