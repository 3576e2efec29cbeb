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
from v2skit.tracking.tracker import Mouth

warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype", UserWarning)  # MediaPipe's own use of protobuf

RIGHT_EYE, LEFT_EYE, MOUTH = LAYOUTS[468]
MOST_FACES = 8


class MediaPipe:
    """MediaPipe face mesh: about 600 frames/s per core; follows one of up to 8 faces, seen from the front.

    Args:
        min_confidence: a face is one from this score on, 0..1, when it is looked for and when it is followed.
        face: which one, where there are several: 1 is the largest.

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
            # The mesh looks for more faces in every frame until it has as many as it may: to follow a face that is
            # alone takes half the time with the mesh that stops at one.
            self._all, self._one = (
                FaceMesh(
                    max_num_faces=faces,
                    min_detection_confidence=min_confidence,
                    min_tracking_confidence=min_confidence,
                )
                for faces in (MOST_FACES, 1)
            )
            for mesh in (self._all, self._one):
                mesh.process(np.zeros((64, 64, 3), np.uint8))
        self.start(None, 25)

    def start(self, video: Path | None, fps: int) -> None:
        """Forget the last video's face."""
        self._fresh, self._alone, self._frames, self._fps = True, True, 0, fps
        self._follower.start(fps)

    def update(self, frame: np.ndarray) -> Mouth | None:
        """RGB uint8 (H,W,3) -> the mouth, or None where the face is not found.

        Raises:
            UserError: there are fewer faces than ``face``; its ``picture`` shows them.
        """
        frame = np.ascontiguousarray(frame)
        with quiet() if self._fresh else nullcontext():
            if self._fresh:
                self._all.reset()
                self._one.reset()
            found = self._one.process(frame).multi_face_landmarks if self._alone else None
            if not found or self._frames % self._fps == 0:
                faces = self._all.process(frame).multi_face_landmarks or []
                self._alone = len(faces) <= 1
                found = found if found and self._alone else faces
        self._fresh = False
        self._frames += 1
        chosen = self._follower.choose([_mouth(face.landmark, frame) for face in found], frame)
        self._alone = self._alone and chosen is not None  # the face that is alone may be another one
        return chosen

    def finish(self) -> None:
        """Raises UserError where there were fewer faces than ``face``; its ``picture`` shows them."""
        self._follower.finish()


def _mouth(points: Sequence[Any], frame: np.ndarray) -> Mouth:
    height, width = frame.shape[:2]

    def between(corners: list[int]) -> tuple[float, float]:
        a, b = (points[i] for i in corners)
        return (a.x + b.x) * width / 2, (a.y + b.y) * height / 2

    right, left, mouth = between(RIGHT_EYE), between(LEFT_EYE), between(MOUTH)
    across, down = left[0] - right[0], left[1] - right[1]
    return Mouth(*mouth, eye_distance=math.hypot(across, down), roll=math.atan2(down, across))
