"""MediaPipe's face mesh (Kartynnik et al., Real-time facial surface geometry, 2019)."""

from __future__ import annotations

import math
import os
import sys
import warnings
from contextlib import contextmanager
from typing import Iterator

import numpy as np

from v2skit.errors import UserError
from v2skit.trackers import Mouth

warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype", UserWarning)  # MediaPipe's own use of protobuf

RIGHT_EYE, LEFT_EYE, MOUTH = (33, 133), (362, 263), (61, 291)
"""Corners, as numbers of mesh points. The corners of the mouth move less in speech than the lips between them."""


class MediaPipe:
    """MediaPipe face mesh: about 600 frames/s per core; for one face, from the front.

    Args:
        min_confidence: a face is one from this score on, 0..1, when it is looked for and when it is followed.

    Raises:
        UserError: mediapipe is not installed.
    """

    def __init__(self, min_confidence: float = 0.5) -> None:
        if not 0 < min_confidence <= 1:
            raise UserError(f"min_confidence {min_confidence} must lie in 0..1")
        try:
            from mediapipe.python.solutions.face_mesh import FaceMesh
        except ImportError as error:
            remedy = "pip install 'v2skit[mediapipe]' && pip install --no-deps mediapipe==0.10.14 (Python 3.10 to 3.12)"
            raise UserError(f"{error}; tracker 'mediapipe' needs: {remedy}") from error
        with _quiet():
            self._mesh = FaceMesh(min_detection_confidence=min_confidence, min_tracking_confidence=min_confidence)
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))
        self._fresh = True

    def start(self) -> None:
        """Forget the last video's face."""
        self._fresh = True

    def update(self, frame: np.ndarray) -> Mouth | None:
        """RGB uint8 (H,W,3) -> the mouth, or None where no face is found."""
        frame = np.ascontiguousarray(frame)
        if self._fresh:
            self._fresh = False
            with _quiet():
                self._mesh.reset()
                found = self._mesh.process(frame).multi_face_landmarks
        else:
            found = self._mesh.process(frame).multi_face_landmarks
        if not found:
            return None
        height, width = frame.shape[:2]
        points = found[0].landmark

        def between(corners: tuple[int, int]) -> tuple[float, float]:
            a, b = (points[i] for i in corners)
            return (a.x + b.x) * width / 2, (a.y + b.y) * height / 2

        right, left, mouth = between(RIGHT_EYE), between(LEFT_EYE), between(MOUTH)
        across, down = left[0] - right[0], left[1] - right[1]
        return Mouth(*mouth, eye_distance=math.hypot(across, down), roll=math.atan2(down, across))


@contextmanager
def _quiet() -> Iterator[None]:
    """MediaPipe's C++ part logs whenever its graph starts, until the first frame is through; no setting stops that."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
