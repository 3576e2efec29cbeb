"""Mouth crops of constant scale, upright, and without the jitter of the tracker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2skit.config.features import Crop
from v2skit.errors import UserError
from v2skit.tracking.patch import Patch, cut_patch, resample_crop
from v2skit.tracking.smoothing import CropBox, CropBoxSmoother, crop_side
from v2skit.tracking.tracker import Tracker, check_pose

NO_FACE = (
    "no face in the video; show one from the front, not in profile, or use a tracker with a lower min_confidence "
    "(default 0.5), e.g. --tracker '{type: face_mesh, min_confidence: 0.3}'"
)
"""The error where there is none in any frame, of live video too."""


@dataclass(frozen=True)
class MouthCrop:
    """The mouth crop of one frame.

    Args:
        picture: gray uint8 (S,S); of constant value where the box is ``silent``.
        box: where in the frame it was cut.
    """

    picture: np.ndarray
    box: CropBox


@dataclass(frozen=True)
class Track:
    """The crop boxes of a video, T frames at a constant frame rate.

    Args:
        fps: frames a second.
        boxes: float32 (T,4): x and y of the centre and the side, pixels of the upright frame, and the roll, radians;
            NaN where ``silent``.
        lost: bool (T,), no face was found in the frame.
        silent: bool (T,), the face is lost for so long that the speech is silent.
    """

    fps: int
    boxes: np.ndarray
    lost: np.ndarray
    silent: np.ndarray

    @classmethod
    def of(cls, boxes: list[CropBox], fps: int) -> Track:
        """The track of the boxes of all frames, in order."""
        rows = np.array([(b.x, b.y, b.side, b.roll) for b in boxes], np.float32).reshape(-1, 4)
        lost, silent = (np.array([getattr(b, name) for b in boxes], bool) for name in ("lost", "silent"))
        return cls(fps, rows, lost, silent)


def mouth_crops(
    frames: Iterable[np.ndarray], tracker: Tracker, crop: Crop, fps: int, video: Path | None = None
) -> Iterator[MouthCrop]:
    """Track and crop a video of any length in one pass; of each frame only a patch around the mouth stays in memory.

    Args:
        frames: upright, RGB uint8 (H,W,3).
        tracker: locates the mouth in them.
        crop: settings of the crops.
        fps: frames a second.
        video: the file that the frames are decoded from, for the tracker; None where there is none.

    Yields:
        The crop of each frame, once ``crop.look_ahead_frames`` later frames have been tracked.

    Raises:
        UserError: as the tracker's methods and :func:`check_pose`.
    """
    tracker.start(video, fps)
    smoother = CropBoxSmoother(fps, crop.eye_distances, crop.smoothing_seconds, crop.look_ahead_frames)
    patches: deque[Patch] = deque()
    last, side = None, 0.0
    for frame in frames:
        mouth = tracker.update(frame)
        check_pose(mouth, tracker, frame, crop.eye_distances)
        if mouth is not None:
            # A face that turns away shrinks for a moment only: the side of the patch decays slowly.
            last, side = mouth, max(crop_side(mouth, crop.eye_distances), 0.99 * side)
        patches.append(cut_patch(frame, last, side, crop.size))
        for box in smoother.push(mouth):
            yield MouthCrop(resample_crop(patches.popleft(), box, crop.size), box)
    tracker.finish()
    for box in smoother.finish():
        yield MouthCrop(resample_crop(patches.popleft(), box, crop.size), box)


def cut_mouth(
    frames: Iterable[np.ndarray], tracker: Tracker, crop: Crop, fps: int, video: Path | None = None
) -> tuple[np.ndarray, Track]:
    """All mouth crops of a training clip; arguments as :func:`mouth_crops`.

    Returns:
        crops, gray uint8 (T,S,S), and their track.

    Raises:
        UserError: there are no frames, or no face in more than ``crop.max_lost_share`` of them.
    """
    crops = list(mouth_crops(frames, tracker, crop, fps, video))
    if not crops:
        raise UserError("the video has no frames; fetch or record it again")
    track = Track.of([c.box for c in crops], fps)
    if track.silent.all() or track.lost.mean() > crop.max_lost_share:
        raise UserError(
            f"no face in {track.lost.mean():.0%} of the frames (crop.max_lost_share allows {crop.max_lost_share:.0%}); "
            "show the face from the front, or use another tracker"
        )
    return np.stack([c.picture for c in crops]), track
