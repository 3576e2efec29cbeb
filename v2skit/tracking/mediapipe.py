"""MediaPipe's face mesh (Kartynnik et al., Real-time facial surface geometry, 2019)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.errors import UserError
from v2skit.system.extras import needs
from v2skit.tracking.follow import Follower
from v2skit.tracking.landmarks import LAYOUTS
from v2skit.tracking.quiet import quiet
from v2skit.tracking.tracker import MouthPose

warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype", UserWarning)  # MediaPipe's own use of protobuf

RIGHT_EYE, LEFT_EYE, MOUTH = LAYOUTS[468]
MAX_FACES = 8


class MediaPipe:
    """MediaPipe's own face mesh, for faces seen from the front; about 600 frames/s on one core.

    Up to MAX_FACES faces are tracked, and one of them is followed.

    Args:
        min_confidence: lowest score of a face, 0..1, both of the detector and of the mesh.
        face: rank by size of the face to follow where there are several; 1 is the largest.

    Raises:
        UserError: mediapipe is not installed, or an argument is out of range.
    """

    def __init__(self, min_confidence: float = 0.5, face: int = 1) -> None:
        if not 0 < min_confidence <= 1:
            raise UserError(f"min_confidence {min_confidence} must lie in 0..1")
        self._follower = Follower(face)
        with needs("mediapipe", "tracker 'mediapipe'", "take tracker 'face_mesh'"):
            from mediapipe.python.solutions.face_mesh import FaceMesh
        with quiet():  # MediaPipe's C++ part logs whenever its graph starts, until the first frame is through
            # The mesh runs its detector in every frame until it has found its maximal number of faces: following a
            # single face takes half the time with a mesh whose maximum is one.
            self._several, self._single = (
                FaceMesh(
                    max_num_faces=faces,
                    min_detection_confidence=min_confidence,
                    min_tracking_confidence=min_confidence,
                )
                for faces in (MAX_FACES, 1)
            )
            for mesh in (self._several, self._single):
                mesh.process(np.zeros((64, 64, 3), np.uint8))
        self.start(None, 25)

    def start(self, video: Path | None, fps: int) -> None:
        """Begin a new video; ``video`` is not used."""
        self._is_first, self._one_face, self._frames, self._fps = True, True, 0, fps
        self._follower.start(fps)

    def update(self, frame: np.ndarray) -> MouthPose | None:
        """RGB uint8 (H,W,3) -> the pose of the followed face, or None where it is not found.

        Raises:
            FacesError: there are fewer faces than ``face``.
        """
        frame = np.ascontiguousarray(frame)
        with quiet() if self._is_first else nullcontext():
            if self._is_first:
                self._several.reset()
                self._single.reset()
            found = self._single.process(frame).multi_face_landmarks if self._one_face else None
            if not found or self._frames % self._fps == 0:
                faces = self._several.process(frame).multi_face_landmarks or []
                self._one_face = len(faces) <= 1
                found = found if found and self._one_face else faces
        self._is_first = False
        self._frames += 1
        chosen = self._follower.choose([_mouth(face.landmark, frame) for face in found], frame)
        self._one_face = self._one_face and chosen is not None  # the only face found may be another one
        return chosen

    def finish(self) -> None:
        """End the video.

        Raises:
            FacesError: there were fewer faces than ``face``.
        """
        self._follower.finish()


def _mouth(points: Sequence[Any], frame: np.ndarray) -> MouthPose:
    """The pose from MediaPipe's landmarks, whose x and y are fractions of the frame's width and height."""
    height, width = frame.shape[:2]

    def midpoint(corners: list[int]) -> tuple[float, float]:
        """Of two landmarks, pixels."""
        a, b = (points[i] for i in corners)
        return (a.x + b.x) * width / 2, (a.y + b.y) * height / 2

    right, left, mouth = midpoint(RIGHT_EYE), midpoint(LEFT_EYE), midpoint(MOUTH)
    across, down = left[0] - right[0], left[1] - right[1]
    return MouthPose(*mouth, eye_distance=math.hypot(across, down), roll=math.atan2(down, across))
